// Filters that give text: upper, trim, replace, join, indent, tojson, …
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/format.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/text_tools.h"
#include "text/jinja/unicode.h"

namespace mm::jinja {
namespace {

constexpr int64_t kMaxIndent = 1000;

// The input as text, as filters see it: str(value), nothing for undefined.
Value input_text(Runtime& runtime, const Value& input) {
  Value text = text_of(runtime.budget(), input);
  runtime.budget().scan(text.text().size());
  return text;
}

template <std::string (*Map)(std::string_view)>
Value map_text(Runtime& runtime, const Value& input, const Arguments& arguments) {
  Bound("filter", arguments, {});
  const Value text = input_text(runtime, input);
  return make_string(runtime.budget(), Map(text.text()));
}

// Jinja's title(): words begin after white space, '-' and opening brackets only.
std::string title_words(std::string_view text) {
  std::string out;
  size_t start = 0;
  for (size_t at = 0; at <= text.size();) {
    const size_t size = at < text.size() ? unit_size(text.substr(at)) : 1;
    const bool ends = at == text.size() || is_space(first_code_point(text.substr(at))) ||
                      std::string_view("-({[<").find(text[at]) != std::string_view::npos;
    if (!ends) {
      at += size;
      continue;
    }
    const std::string_view word = text.substr(start, at - start);
    if (!word.empty()) {
      const size_t first = unit_size(word);
      out += to_upper(word.substr(0, first));
      out += to_lower(word.substr(first));
    }
    out += text.substr(std::min(at, text.size()), size);
    start = at += size;
  }
  return out;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

Value filter_string(Runtime& runtime, const Value& input, const Arguments& arguments) {
  Bound("string", arguments, {});
  return text_of(runtime.budget(), input);
}

Value filter_trim(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("trim", arguments, {"chars"});
  const Value text = input_text(runtime, input);
  return strip(runtime.budget(), text, bound.text(0), StripSide::kBoth);
}

Value filter_replace(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("replace", arguments, {"old", "new", "count"});
  const Value text = input_text(runtime, input);
  const Value old_text = text_of(runtime.budget(), bound.require(0));
  const Value new_text = text_of(runtime.budget(), bound.require(1));
  const bool counted = bound.find(2) != nullptr && !bound.find(2)->is_none();
  return replace(runtime.budget(), text.text(), old_text.text(), new_text.text(),
                 counted ? bound.integer(2, -1) : -1);
}

Value filter_join(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("join", arguments, {"d", "attribute"});
  BoundedString separator(runtime.budget());
  if (bound.find(0) != nullptr) {
    append_text(separator, *bound.find(0));
  }
  const std::string between = separator.take();
  BoundedString out(runtime.budget());
  bool first = true;
  for (const Value& item : iterate(runtime.budget(), input)) {
    out.append(first ? std::string_view() : between);
    first = false;
    const bool by_attribute = bound.find(1) != nullptr && !bound.find(1)->is_none();
    append_text(out, by_attribute ? path_of(runtime, item, *bound.find(1)) : item);
  }
  return make_string(runtime.budget(), out.take());
}

std::string indentation(const Value* width, int64_t fallback) {
  if (width != nullptr && width->is_string()) {
    return width->text();
  }
  const auto spaces = width == nullptr ? fallback : width->as_integer().value_or(-1);
  if (spaces > kMaxIndent) {
    too_large("an indentation of {} is over the limit of {}", spaces, kMaxIndent);
  }
  if (width != nullptr && !width->as_integer()) {
    require_defined(*width);
    fault("an indentation is a number or a string, not '{}'", type_name(*width));
  }
  return std::string(static_cast<size_t>(std::max<int64_t>(spaces, 0)), ' ');
}

Value filter_indent(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("indent", arguments, {"width", "first", "blank"});
  const std::string margin = indentation(bound.find(0), 4);
  const bool blank = bound.flag(2, false);
  std::string text = require_string("indent", input);
  text += '\n';
  runtime.budget().scan(text.size());
  BoundedString out(runtime.budget());
  bool is_first = true;
  for_each_line(text, false, [&](std::string_view line) {
    runtime.budget().step();
    out.append(is_first ? "" : "\n");
    if (is_first ? bound.flag(1, false) : (blank || !line.empty())) {
      out.append(margin);
    }
    is_first = false;
    out.append(line);
  });
  return make_string(runtime.budget(), out.take());
}

Value filter_tojson(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ascii = bound.flag(0, false);
  style.sort_keys = bound.flag(3, false);
  if (bound.find(1) != nullptr && !bound.find(1)->is_none()) {
    style.pretty = true;
    style.indent = indentation(bound.find(1), 0);
    style.item_end.pop_back();  // no space before a line break
  }
  if (bound.find(2) != nullptr && !bound.find(2)->is_none()) {
    const List parts = iterate(runtime.budget(), *bound.find(2));
    if (parts.size() != 2 || !parts[0].is_string() || !parts[1].is_string()) {
      fault("'tojson' needs two strings as 'separators'");
    }
    style.item_end = parts[0].text();
    style.key_end = parts[1].text();
  }
  BoundedString out(runtime.budget());
  append_json(out, input, style);
  return make_string(runtime.budget(), out.take());
}

Value filter_format(Runtime& runtime, const Value& input, const Arguments& arguments) {
  if (!arguments.named.empty()) {
    fault("'format' takes no named arguments here");
  }
  return format_percent(runtime.budget(), require_string("format", input), arguments.positional);
}

Value filter_center(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("center", arguments, {"width"});
  return pad(runtime.budget(), input_text(runtime, input), bound.integer(0, 80), " ",
             PadSide::kBoth);
}

Value filter_wordcount(Runtime& runtime, const Value& input, const Arguments& arguments) {
  Bound("wordcount", arguments, {});
  const Value text = input_text(runtime, input);
  int64_t words = 0;
  for (std::string_view rest = strip_left(text.text()); !rest.empty(); rest = strip_left(rest)) {
    ++words;
    while (!rest.empty() && !is_space(first_code_point(rest))) {
      rest.remove_prefix(unit_size(rest));
    }
  }
  return Value(words);
}

constexpr NamedFilter kFilters[] = {
    {"capitalize", map_text<capitalize>},
    {"center", filter_center},
    {"e", map_text<escape_html>},
    {"escape", map_text<escape_html>},
    {"forceescape", map_text<escape_html>},
    {"format", filter_format},
    {"indent", filter_indent},
    {"join", filter_join},
    {"lower", map_text<to_lower>},
    {"replace", filter_replace},
    {"safe", filter_string},
    {"string", filter_string},
    {"title", map_text<title_words>},
    {"tojson", filter_tojson},
    {"trim", filter_trim},
    {"upper", map_text<to_upper>},
    {"wordcount", filter_wordcount},
};

}  // namespace

Filter find_text_filter(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                   [&](const NamedFilter& entry) { return entry.name == name; });
  return found == std::end(kFilters) ? nullptr : found->filter;
}

}  // namespace mm::jinja
