#include "text/grammar/json_pattern.h"

#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "text/grammar/json_text.h"
#include "text/utf8.h"

namespace mm::grammar {
namespace {

using Ranges = std::vector<CodeRange>;

constexpr int kMaxNesting = 128;
constexpr int kMaxCount = 100'000;

const Ranges& digit_ranges() {
  static const Ranges kRanges = {{'0', '9'}};
  return kRanges;
}
const Ranges& word_ranges() {
  static const Ranges kRanges = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
  return kRanges;
}
/// White space and line ends of ECMA-262.
const Ranges& space_ranges() {
  static const Ranges kRanges = {
      {'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
      {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  return kRanges;
}
const Ranges& line_end_ranges() {
  static const Ranges kRanges = {{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};
  return kRanges;
}

class PatternParser {
 public:
  PatternParser(std::string_view pattern, std::string_view where) : text_(pattern), where_(where) {}

  Expression parse() {
    std::vector<Expression> alternatives;
    do {
      const bool at_begin = take('^');
      Expression body = parse_sequence(0);
      const bool at_end = take('$');
      if (!ends() && peek() != '|') {
        fail_at_sign();
      }
      const Expression any = repeat(json_character(), 0, Expression::kNoLimit);
      alternatives.push_back(
          sequence({at_begin ? bytes("") : any, std::move(body), at_end ? bytes("") : any}));
    } while (take('|'));
    return choice(std::move(alternatives));
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) const {
    raise(kind, "{}: pattern \"{}\": {}", where_, text_,
          fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void unsupported(std::string_view what) const {
    fail(ErrorKind::kUnsupported, "{} cannot be enforced", what);
  }
  [[noreturn]] void fail_at_sign() const {
    if (peek() == '^' || peek() == '$') {
      unsupported("^ or $ inside the pattern");
    }
    fail(ErrorKind::kBadInput, "unexpected \"{}\" at byte {}", peek(), at_);
  }

  bool ends() const { return at_ >= text_.size(); }
  char peek() const { return ends() ? '\0' : text_[at_]; }
  bool take(char c) {
    if (ends() || text_[at_] != c) {
      return false;
    }
    ++at_;
    return true;
  }
  bool take(std::string_view prefix) {
    if (text_.substr(at_, prefix.size()) != prefix) {
      return false;
    }
    at_ += prefix.size();
    return true;
  }
  char32_t take_any() {
    if (ends()) {
      fail(ErrorKind::kBadInput, "it ends too early");
    }
    const utf8::Decoded decoded = utf8::decode_first(text_.substr(at_));
    at_ += static_cast<size_t>(decoded.length);
    return decoded.code_point;
  }

  Expression parse_choice(int depth) {
    if (depth > kMaxNesting) {
      fail(ErrorKind::kTooLarge, "groups nested more than {} deep", kMaxNesting);
    }
    std::vector<Expression> parts;
    do {
      parts.push_back(parse_sequence(depth));
    } while (take('|'));
    return choice(std::move(parts));
  }

  Expression parse_sequence(int depth) {
    std::vector<Expression> parts;
    while (!ends() && peek() != '|' && peek() != ')' && peek() != '$') {
      Expression item = parse_item(depth);
      parts.push_back(parse_counts(std::move(item)));
    }
    return sequence(std::move(parts));
  }

  Expression parse_item(int depth) {
    if (take('(')) {
      if (take("?:") || peek() != '?') {
        Expression inner = parse_choice(depth + 1);
        if (!take(')')) {
          if (peek() == '$') {
            fail_at_sign();
          }
          fail(ErrorKind::kBadInput, "a group is not closed");
        }
        return inner;
      }
      unsupported("a group with (?");
    }
    if (take('[')) {
      return json_character_of(parse_class());
    }
    if (take('.')) {
      return json_character_of(complement(line_end_ranges()));
    }
    if (take('\\')) {
      return json_character_of(parse_escape(false));
    }
    if (ends() || std::string_view("*+?{}]^").find(peek()) != std::string_view::npos) {
      fail_at_sign();
    }
    const char32_t c = take_any();
    return json_character_of({{c, c}});
  }

  Expression parse_counts(Expression e) {
    int min = 0;
    int max = Expression::kNoLimit;
    if (take('+')) {
      min = 1;
    } else if (take('?')) {
      max = 1;
    } else if (take('{')) {
      min = max = take_number();
      if (take(',')) {
        max = peek() == '}' ? Expression::kNoLimit : take_number();
      }
      if (!take('}') || (max != Expression::kNoLimit && max < min)) {
        fail(ErrorKind::kBadInput, "a repetition is not of the form {{3}}, {{2,}} or {{2,5}}");
      }
    } else if (!take('*')) {
      return e;
    }
    take('?');  // lazy
    return repeat(std::move(e), min, max);
  }

  int take_number() {
    const size_t begin = at_;
    int number = 0;
    while (peek() >= '0' && peek() <= '9') {
      number = number * 10 + (text_[at_++] - '0');
      if (number > kMaxCount) {
        fail(ErrorKind::kTooLarge, "a repetition count is over {}", kMaxCount);
      }
    }
    if (at_ == begin) {
      fail(ErrorKind::kBadInput, "a repetition without a count");
    }
    return number;
  }

  char32_t take_hex(int count) {
    char32_t value = 0;
    for (int i = 0; i < count; ++i) {
      const char c = peek();
      const char lower = static_cast<char>(c | 0x20);
      const bool is_digit = c >= '0' && c <= '9';
      if (!is_digit && !(lower >= 'a' && lower <= 'f')) {
        fail(ErrorKind::kBadInput, "an escape of {} hexadecimal digits has fewer", count);
      }
      value = value * 16 + static_cast<char32_t>(is_digit ? c - '0' : lower - 'a' + 10);
      ++at_;
    }
    return value;
  }

  /// What follows a backslash.
  Ranges parse_escape(bool in_class) {
    const char32_t c = take_any();
    switch (c) {
      case 'd':
        return digit_ranges();
      case 'D':
        return complement(digit_ranges());
      case 'w':
        return word_ranges();
      case 'W':
        return complement(word_ranges());
      case 's':
        return space_ranges();
      case 'S':
        return complement(space_ranges());
      case 'b':
        if (in_class) {
          return {{'\b', '\b'}};
        }
        unsupported("\\b");
      default:
        break;
    }
    const char32_t value = escaped_character(c);
    return {{value, value}};
  }

  char32_t escaped_character(char32_t c) {
    switch (c) {
      case 't':
        return '\t';
      case 'n':
        return '\n';
      case 'v':
        return '\v';
      case 'f':
        return '\f';
      case 'r':
        return '\r';
      case 'x':
        return take_hex(2);
      case 'u': {
        const char32_t value = take_hex(4);
        if (value >= 0xD800 && value <= 0xDFFF) {
          unsupported("an escape of half a surrogate pair");
        }
        return value;
      }
      default:
        break;
    }
    const bool is_letter_or_digit =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_letter_or_digit) {
      unsupported(fmt::format("\\{}", static_cast<char>(c)));
    }
    return c;
  }

  Ranges parse_class() {
    const bool negated = take('^');
    Ranges ranges;
    while (!take(']')) {
      const Ranges first = take_class_part();
      const bool is_range = peek() == '-' && text_.substr(at_, 2) != "-]";
      if (!is_range) {
        ranges.insert(ranges.end(), first.begin(), first.end());
        continue;
      }
      ++at_;
      const Ranges last = take_class_part();
      const bool single = first.size() == 1 && last.size() == 1 &&
                          first[0].first == first[0].last && last[0].first == last[0].last;
      if (!single || first[0].first > last[0].first) {
        fail(ErrorKind::kBadInput, "a range of characters ends before it begins");
      }
      ranges.push_back({first[0].first, last[0].first});
    }
    return negated ? complement(std::move(ranges)) : ranges;
  }

  Ranges take_class_part() {
    if (take('\\')) {
      return parse_escape(true);
    }
    const char32_t c = take_any();
    return {{c, c}};
  }

  std::string_view text_;
  std::string_view where_;
  size_t at_ = 0;
};

}  // namespace

Expression pattern_text(std::string_view pattern, std::string_view where) {
  return PatternParser(pattern, where).parse();
}

}  // namespace mm::grammar
