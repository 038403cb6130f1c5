// Methods of strings, lists and dicts, as Python has them; none that changes its object.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/format.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/text_tools.h"
#include "text/jinja/unicode.h"

namespace mm::jinja {
namespace {

constexpr auto kNone = std::string_view::npos;

template <std::string (*Map)(std::string_view)>
Value map_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  Bound("str method", arguments, {});
  runtime.budget().scan(self.text().size());
  return make_string(runtime.budget(), Map(self.text()));
}

template <StripSide kSide>
Value strip_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("strip", arguments, {"chars"});
  return strip(runtime.budget(), self, bound.text(0), kSide);
}

// Parts of a string under construction. Each is charged as it comes, since a long text may have
// more parts than fit in memory.
class Parts {
 public:
  explicit Parts(Budget& budget) : budget_(budget) {}
  void add(std::string_view part) {
    budget_.step();
    items_.push_back(make_string(budget_, std::string(part)));
  }
  void reverse() { std::reverse(items_.begin(), items_.end()); }
  Value take() { return make_sequence(budget_, std::move(items_)); }
  Budget& budget() { return budget_; }

 private:
  Budget& budget_;
  List items_;
};

void split_space(Parts& parts, std::string_view text, int64_t limit) {
  for (text = strip_left(text); !text.empty(); text = strip_left(text)) {
    if (limit-- == 0) {
      parts.add(text);
      break;
    }
    size_t size = 0;
    while (size < text.size() && !is_space(first_code_point(text.substr(size)))) {
      size += unit_size(text.substr(size));
    }
    parts.add(text.substr(0, size));
    text.remove_prefix(size);
  }
}

void rsplit_space(Parts& parts, std::string_view text, int64_t limit) {
  for (text = strip_right(text); !text.empty(); text = strip_right(text)) {
    if (limit-- == 0) {
      parts.add(text);
      break;
    }
    size_t begin = text.size();
    while (begin > 0) {
      const size_t size = last_unit_size(text.substr(0, begin));
      if (is_space(first_code_point(text.substr(begin - size)))) {
        break;
      }
      begin -= size;
    }
    parts.add(text.substr(begin));
    text.remove_suffix(text.size() - begin);
  }
  parts.reverse();
}

void split_on(Parts& parts, std::string_view text, std::string_view separator, int64_t limit) {
  size_t at = 0;
  for (; limit != 0; --limit) {
    const size_t found = find_bytes(text, separator, at);
    if (found == kNone) {
      break;
    }
    parts.add(text.substr(at, found - at));
    at = found + separator.size();
  }
  parts.add(text.substr(at));
}

// Last place of `part`. Charged as it goes, since time is size times size on repetitive text.
size_t rfind_bytes(Budget& budget, std::string_view text, std::string_view part) {
  if (part.size() > text.size()) {
    return kNone;
  }
  for (size_t at = text.size() - part.size() + 1; at-- > 0;) {
    if (part.empty() || text[at] == part[0]) {
      budget.scan(part.size());
      if (text.substr(at, part.size()) == part) {
        return at;
      }
    }
  }
  return kNone;
}

// Splits at the last `limit` places, when there are more.
void rsplit_on(Parts& parts, std::string_view text, std::string_view separator, int64_t limit) {
  for (; limit != 0; --limit) {
    const size_t found = rfind_bytes(parts.budget(), text, separator);
    if (found == kNone) {
      break;
    }
    parts.add(text.substr(found + separator.size()));
    text = text.substr(0, found);
  }
  parts.add(text);
  parts.reverse();
}

template <bool kFromRight>
Value split_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("split", arguments, {"sep", "maxsplit"});
  const int64_t limit = bound.integer(1, -1);
  const std::string* separator = bound.text(0);
  const std::string_view text = self.text();
  Budget& budget = runtime.budget();
  budget.step(static_cast<int64_t>(text.size() / 8 + 1));
  if (separator != nullptr && separator->empty()) {
    fault("'split' needs a separator that is not empty");
  }
  Parts parts(budget);
  if (separator == nullptr && kFromRight) {
    rsplit_space(parts, text, limit);
  } else if (separator == nullptr) {
    split_space(parts, text, limit);
  } else if (kFromRight && limit >= 0) {
    rsplit_on(parts, text, *separator, limit);
  } else {
    split_on(parts, text, *separator, limit);
  }
  return parts.take();
}

Value splitlines_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("splitlines", arguments, {"keepends"});
  runtime.budget().scan(self.text().size());
  Parts parts(runtime.budget());
  for_each_line(self.text(), bound.flag(0, false), [&](std::string_view line) { parts.add(line); });
  return parts.take();
}

template <bool kFromRight>
Value partition_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("partition", arguments, {"sep"});
  const std::string_view separator = bound.require_text(0);
  const std::string_view text = self.text();
  if (separator.empty()) {
    fault("'partition' needs a separator that is not empty");
  }
  Budget& budget = runtime.budget();
  budget.scan(text.size());
  const size_t found =
      kFromRight ? rfind_bytes(budget, text, separator) : find_bytes(text, separator);
  List parts;
  if (found == kNone) {
    parts = {make_text(""), make_text(""), make_text("")};
    parts[kFromRight ? 2 : 0] = self;
  } else {
    parts = {make_string(budget, std::string(text.substr(0, found))),
             make_string(budget, std::string(separator)),
             make_string(budget, std::string(text.substr(found + separator.size())))};
  }
  return make_sequence(budget, std::move(parts), Flavor::kTuple);
}

// startswith and endswith, for one string or any of a tuple of them.
template <bool kEnd>
Value affix_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound(kEnd ? "endswith" : "startswith", arguments, {"affix"});
  const Value& affix = bound.require(0);
  const bool tuple = affix.is_sequence() && affix.sequence().flavor == Flavor::kTuple;
  for (const Value& candidate : tuple ? affix.sequence().items : List{affix}) {
    const std::string& part = require_string(kEnd ? "endswith" : "startswith", candidate);
    runtime.budget().scan(part.size());
    if (kEnd ? self.text().ends_with(part) : self.text().starts_with(part)) {
      return Value(true);
    }
  }
  return Value(false);
}

template <bool kEnd>
Value remove_affix_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound(kEnd ? "removesuffix" : "removeprefix", arguments, {"affix"});
  const std::string& part = bound.require_text(0);
  const std::string& text = self.text();
  if (!(kEnd ? text.ends_with(part) : text.starts_with(part))) {
    return self;
  }
  const size_t kept = text.size() - part.size();
  return make_string(runtime.budget(), text.substr(kEnd ? 0 : part.size(), kept));
}

// find, rfind, index, rindex: code points before the match.
template <bool kFromRight, bool kMustExist>
Value find_text_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("find", arguments, {"sub", "start", "end"});
  const std::string& part = bound.require_text(0);
  const Value window = slice_of(runtime, self, bound.find(1), bound.find(2), nullptr);
  const std::string_view text = window.text();
  runtime.budget().scan(text.size());
  const size_t found =
      kFromRight ? rfind_bytes(runtime.budget(), text, part) : find_bytes(text, part);
  if (found == kNone) {
    if (kMustExist) {
      fault("substring not found");
    }
    return Value(-1);
  }
  int64_t skipped = 0;
  if (bound.find(1) != nullptr && !bound.find(1)->is_none()) {
    const int64_t size = length(runtime.budget(), self);
    const int64_t start = bound.integer(1, 0);
    skipped = std::clamp<int64_t>(start < 0 ? start + size : start, 0, size);
  }
  return Value(skipped + static_cast<int64_t>(count_code_points(text.substr(0, found))));
}

Value count_text_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("count", arguments, {"sub"});
  const std::string& part = bound.require_text(0);
  runtime.budget().scan(self.text().size());
  if (part.empty()) {
    return Value(length(runtime.budget(), self) + 1);
  }
  int64_t count = 0;
  for (size_t at = find_bytes(self.text(), part); at != kNone;
       at = find_bytes(self.text(), part, at + part.size())) {
    runtime.budget().step();
    ++count;
  }
  return Value(count);
}

Value replace_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("replace", arguments, {"old", "new", "count"});
  return replace(runtime.budget(), self.text(), bound.require_text(0), bound.require_text(1),
                 bound.integer(2, -1));
}

Value join_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("join", arguments, {"iterable"});
  BoundedString out(runtime.budget());
  bool first = true;
  for (const Value& item : iterate(runtime.budget(), bound.require(0))) {
    out.append(first ? std::string_view() : self.text());
    first = false;
    out.append(require_string("join", item));
  }
  return make_string(runtime.budget(), out.take());
}

Value format_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return format_braces(runtime, self.text(), arguments);
}

template <PadSide kSide>
Value pad_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("just", arguments, {"width", "fillchar"});
  bound.require(0);
  const std::string fill = bound.text(1) != nullptr ? *bound.text(1) : " ";
  if (count_code_points(fill) != 1) {
    fault("the fill character must be exactly one character long");
  }
  return pad(runtime.budget(), self, bound.integer(0, 0), fill, kSide);
}

Value zfill_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("zfill", arguments, {"width"});
  bound.require(0);
  const std::string& text = self.text();
  const bool sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  const Value digits = make_string(runtime.budget(), text.substr(sign ? 1 : 0));
  const Value padded =
      pad(runtime.budget(), digits, bound.integer(0, 0) - (sign ? 1 : 0), "0", PadSide::kLeft);
  return make_string(runtime.budget(), text.substr(0, sign ? 1 : 0) + padded.text());
}

bool is_letter_or_digit(int32_t code_point) {
  return is_letter(code_point) || is_decimal_digit(code_point);
}

// isdigit, isalpha, …: true when there are code points and all are of the class.
template <bool (*Predicate)(int32_t)>
Value all_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  Bound("str method", arguments, {});
  runtime.budget().scan(self.text().size());
  std::string_view rest = self.text();
  while (!rest.empty() && Predicate(first_code_point(rest))) {
    rest.remove_prefix(unit_size(rest));
  }
  return Value(rest.empty() && !self.text().empty());
}

template <bool kUpper>
Value case_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  return Value(apply_test(runtime, kUpper ? "upper" : "lower", self, arguments));
}

constexpr NamedMethod kStringMethods[] = {
    {"capitalize", map_method<capitalize>},
    {"casefold", map_method<to_lower>},
    {"center", pad_method<PadSide::kBoth>},
    {"count", count_text_method},
    {"endswith", affix_method<true>},
    {"find", find_text_method<false, false>},
    {"format", format_method},
    {"index", find_text_method<false, true>},
    {"isalnum", all_method<is_letter_or_digit>},
    {"isalpha", all_method<is_letter>},
    {"isdecimal", all_method<is_decimal_digit>},
    {"isdigit", all_method<is_decimal_digit>},
    {"islower", case_method<false>},
    {"isnumeric", all_method<is_decimal_digit>},
    {"isspace", all_method<is_space>},
    {"isupper", case_method<true>},
    {"join", join_method},
    {"ljust", pad_method<PadSide::kRight>},
    {"lower", map_method<to_lower>},
    {"lstrip", strip_method<StripSide::kLeft>},
    {"partition", partition_method<false>},
    {"removeprefix", remove_affix_method<false>},
    {"removesuffix", remove_affix_method<true>},
    {"replace", replace_method},
    {"rfind", find_text_method<true, false>},
    {"rindex", find_text_method<true, true>},
    {"rjust", pad_method<PadSide::kLeft>},
    {"rpartition", partition_method<true>},
    {"rsplit", split_method<true>},
    {"rstrip", strip_method<StripSide::kRight>},
    {"split", split_method<false>},
    {"splitlines", splitlines_method},
    {"startswith", affix_method<false>},
    {"strip", strip_method<StripSide::kBoth>},
    {"title", map_method<title>},
    {"upper", map_method<to_upper>},
    {"zfill", zfill_method},
};

}  // namespace

Method find_string_method(std::string_view name) {
  const auto* found = std::find_if(std::begin(kStringMethods), std::end(kStringMethods),
                                   [&](const NamedMethod& entry) { return entry.name == name; });
  return found == std::end(kStringMethods) ? nullptr : found->method;
}

}  // namespace mm::jinja
