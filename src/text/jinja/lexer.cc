#include "text/jinja/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "text/jinja/unicode.h"

namespace mm::jinja {
namespace {

constexpr auto kNone = std::string_view::npos;

// Longest first, so that "**" is not read as two "*".
constexpr std::array<std::string_view, 28> kOperators = {
    "**", "//", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]",
    "(",  ")",  "{",  "}",  ">",  "<",  "=", ".", ":", "|", ",", ";", "&", "!"};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_name_byte(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(source) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      lex_root();
    }
    push(TokenKind::kEnd, at_, {});
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(size_t at, std::string message) {
    const std::string_view before = source_.substr(0, at);
    const auto newlines = std::count(before.begin(), before.end(), '\n');
    throw SyntaxError(static_cast<int>(newlines) + 1, std::move(message));
  }

  // Line numbers are counted once, front to back.
  void advance_line(size_t at) {
    const auto begin = source_.begin() + static_cast<std::ptrdiff_t>(std::min(counted_, at));
    line_ += static_cast<int>(
        std::count(begin, source_.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    counted_ = std::max(counted_, at);
  }

  Token& push(TokenKind kind, size_t begin, std::string text) {
    advance_line(begin);
    Place place{line_, static_cast<uint32_t>(begin), static_cast<uint32_t>(at_)};
    tokens_.push_back({kind, std::move(text), place});
    return tokens_.back();
  }

  std::string_view rest(size_t from) const { return source_.substr(from); }

  // The text between the last tag and the tag at `tag`, after that tag's white space control.
  std::string_view data_before(size_t begin, size_t tag, char sign, bool may_lstrip) {
    const std::string_view text = source_.substr(begin, tag - begin);
    if (sign == '-') {
      return strip_right(text);
    }
    if (sign == '+' || !may_lstrip) {
      return text;
    }
    const size_t newline = text.rfind('\n');
    const size_t line_start = newline == kNone ? 0 : newline + 1;
    const bool starts_line = line_start > 0 || begin == 0 || source_[begin - 1] == '\n';
    if (starts_line && strip_left(text.substr(line_start)).empty()) {
      return text.substr(0, line_start);
    }
    return text;
  }

  void push_data(size_t begin, std::string_view text) {
    if (!text.empty()) {
      push(TokenKind::kData, begin, std::string(text));
    }
  }

  // '-' or '+' behind an opening delimiter, else 0.
  char sign_at(size_t at) const {
    return at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0';
  }

  static size_t find_tag(std::string_view source, size_t from) {
    for (size_t at = source.find('{', from); at != kNone; at = source.find('{', at + 1)) {
      if (at + 1 < source.size() &&
          (source[at + 1] == '{' || source[at + 1] == '%' || source[at + 1] == '#')) {
        return at;
      }
    }
    return kNone;
  }

  void lex_root() {
    const size_t begin = at_;
    const size_t tag = find_tag(source_, at_);
    if (tag == kNone) {
      at_ = source_.size();
      push_data(begin, source_.substr(begin));
      return;
    }
    const char kind = source_[tag + 1];
    const char sign = sign_at(tag + 2);
    at_ = tag;
    push_data(begin, data_before(begin, tag, sign, kind != '{'));
    at_ = tag + (sign == '\0' ? 2 : 3);
    if (kind == '#') {
      lex_comment(tag);
    } else if (kind == '{') {
      push(TokenKind::kVariableBegin, tag, {});
      lex_expression(tag, '}');
    } else if (const size_t end = raw_tag_end(at_, "raw"); end != kNone) {
      lex_raw(tag, end);
    } else {
      push(TokenKind::kBlockBegin, tag, {});
      lex_expression(tag, '%');
    }
  }

  void skip_newline() {
    if (at_ < source_.size() && source_[at_] == '\n') {
      ++at_;
    }
  }
  void skip_space() { at_ = source_.size() - strip_left(rest(at_)).size(); }

  void lex_comment(size_t tag) {
    const size_t end = source_.find("#}", at_);
    if (end == kNone) {
      fail(tag, "a comment '{#' has no end '#}'");
    }
    const char sign = end > at_ ? source_[end - 1] : '\0';
    at_ = end + 2;
    if (sign == '-') {
      skip_space();
    } else if (sign != '+') {
      skip_newline();
    }
  }

  // Behind "raw %}" when the tag whose inside starts at `at` is `word`, else kNone.
  size_t raw_tag_end(size_t at, std::string_view word) const {
    std::string_view inside = strip_left(rest(at));
    if (inside.substr(0, word.size()) != word) {
      return kNone;
    }
    inside = strip_left(inside.substr(word.size()));
    const bool sign = !inside.empty() && (inside[0] == '-' || inside[0] == '+');
    if (inside.substr(sign ? 1 : 0, 2) != "%}") {
      return kNone;
    }
    return source_.size() - inside.size() + (sign ? 3 : 2);
  }

  void lex_raw(size_t tag, size_t begin) {
    at_ = begin;
    if (source_[begin - 3] == '-') {
      skip_space();
    }
    begin = at_;
    for (size_t end = source_.find("{%", at_); end != kNone; end = source_.find("{%", end + 2)) {
      const char sign = sign_at(end + 2);
      const size_t after = raw_tag_end(end + (sign == '\0' ? 2 : 3), "endraw");
      if (after == kNone) {
        continue;
      }
      push_data(begin, data_before(begin, end, sign, true));
      at_ = after;
      if (source_[after - 3] == '-') {
        skip_space();
      } else if (source_[after - 3] != '+') {
        skip_newline();
      }
      return;
    }
    fail(tag, "'raw' has no 'endraw'");
  }

  // Whether the tag ends here; then it is consumed with the white space it takes along.
  bool lex_tag_end(char kind) {
    const char sign = sign_at(at_);
    const size_t mark = at_ + (sign == '\0' ? 0 : 1);
    if (mark + 1 >= source_.size() || source_[mark] != kind || source_[mark + 1] != '}' ||
        (sign == '+' && kind == '}')) {
      return false;
    }
    const size_t begin = at_;
    at_ = mark + 2;
    push(kind == '}' ? TokenKind::kVariableEnd : TokenKind::kBlockEnd, begin, {});
    if (sign == '-') {
      skip_space();
    } else if (kind == '%' && sign == '\0') {
      skip_newline();
    }
    return true;
  }

  void lex_expression(size_t tag, char kind) {
    std::string open;  // brackets not closed yet
    while (true) {
      skip_space();
      if (at_ >= source_.size()) {
        fail(tag, fmt::format("'{{{}' has no end '{}}}'", kind == '}' ? '{' : '%', kind));
      }
      if (open.empty() && lex_tag_end(kind)) {
        return;
      }
      const char c = source_[at_];
      if (is_digit(c)) {
        lex_number();
      } else if (is_name_byte(c)) {
        lex_name();
      } else if (c == '\'' || c == '"') {
        lex_string(c);
      } else {
        lex_operator(open);
      }
    }
  }

  void lex_name() {
    const size_t begin = at_;
    while (at_ < source_.size() && is_name_byte(source_[at_])) {
      ++at_;
    }
    push(TokenKind::kName, begin, std::string(source_.substr(begin, at_ - begin)));
  }

  void lex_operator(std::string& open) {
    const auto found = std::find_if(
        kOperators.begin(), kOperators.end(),
        [&](std::string_view text) { return rest(at_).substr(0, text.size()) == text; });
    if (found == kOperators.end() || *found == "&" || *found == "!") {
      fail(at_,
           fmt::format("unexpected character '{}'", source_.substr(at_, unit_size(rest(at_)))));
    }
    const char c = (*found)[0];
    if (c == '(' || c == '[' || c == '{') {
      open += c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) {
        fail(at_, fmt::format("unexpected '{}'", c));
      }
      open.pop_back();
    }
    const size_t begin = at_;
    at_ += found->size();
    push(TokenKind::kOperator, begin, std::string(*found));
  }

  // Appends digits of `base` with single underscores between them; false when there is none.
  bool take_digits(std::string& digits, int base) {
    const auto is_base_digit = [base](char c) {
      const int value = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : 99;
      return value < base;
    };
    const size_t before = digits.size();
    while (at_ < source_.size()) {
      const bool underscore = source_[at_] == '_' && digits.size() > before;
      const size_t digit = at_ + (underscore ? 1 : 0);
      if (digit >= source_.size() || !is_base_digit(source_[digit])) {
        break;
      }
      digits += source_[digit];
      at_ = digit + 1;
    }
    return digits.size() > before;
  }

  void lex_number() {
    const size_t begin = at_;
    const bool after_dot = begin > 0 && source_[begin - 1] == '.';  // x.0.1 is no float
    std::string digits;
    int base = 10;
    if (source_[at_] == '0' && at_ + 1 < source_.size()) {
      const char mark = static_cast<char>(source_[at_ + 1] | 0x20);
      base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    }
    if (base != 10) {
      at_ += 2;
    }
    if (!take_digits(digits, base)) {
      fail(begin, "a number has no digits");
    }
    const bool is_float = base == 10 && !after_dot && take_fraction(digits);
    Token& token = push(is_float ? TokenKind::kFloat : TokenKind::kInteger, begin, {});
    if (is_float) {
      token.number = std::strtod(digits.c_str(), nullptr);
      return;
    }
    const char* end = digits.data() + digits.size();
    if (std::from_chars(digits.data(), end, token.integer, base).ec != std::errc{}) {
      fail(begin, fmt::format("the number {} does not fit in 64 bits", digits));
    }
    if (base == 10 && digits.size() > 1 && digits[0] == '0' && token.integer != 0) {
      fail(begin, fmt::format("the number {} starts with a zero", digits));
    }
  }

  // Appends ".5", "e3" or both where they follow.
  bool take_fraction(std::string& digits) {
    bool is_float = false;
    if (at_ + 1 < source_.size() && source_[at_] == '.' && is_digit(source_[at_ + 1])) {
      ++at_;
      digits += '.';
      take_digits(digits, 10);
      is_float = true;
    }
    if (at_ < source_.size() && (source_[at_] | 0x20) == 'e') {
      const size_t before = at_;
      std::string exponent = "e";
      ++at_;
      if (at_ < source_.size() && (source_[at_] == '+' || source_[at_] == '-')) {
        exponent += source_[at_++];
      }
      if (take_digits(exponent, 10)) {
        digits += exponent;
        return true;
      }
      at_ = before;
    }
    return is_float;
  }

  void lex_string(char quote) {
    const size_t begin = at_++;
    std::string text;
    while (true) {
      const size_t plain = at_;
      while (at_ < source_.size() && source_[at_] != quote && source_[at_] != '\\') {
        ++at_;
      }
      text += source_.substr(plain, at_ - plain);
      if (at_ >= source_.size()) {
        fail(begin, "a string has no closing quote");
      }
      if (source_[at_++] == quote) {
        break;
      }
      decode_escape(begin, text);
    }
    push(TokenKind::kString, begin, std::move(text));
  }

  // Decodes what follows a backslash, as Python does.
  void decode_escape(size_t begin, std::string& text) {
    if (at_ >= source_.size()) {
      fail(begin, "a string has no closing quote");
    }
    const char c = source_[at_++];
    constexpr std::string_view kLetters = "\\'\"abfnrtv";
    constexpr std::string_view kMeanings = "\\'\"\a\b\f\n\r\t\v";
    if (const size_t simple = kLetters.find(c); simple != kNone) {
      text += kMeanings[simple];
    } else if (c == 'x' || c == 'u' || c == 'U') {
      append_code_point(text, take_hex(begin, c == 'x' ? 2 : c == 'u' ? 4 : 8));
    } else if (c >= '0' && c <= '7') {
      uint32_t code_point = static_cast<uint32_t>(c - '0');
      for (int i = 0; i < 2 && at_ < source_.size() && source_[at_] >= '0' && source_[at_] <= '7';
           ++i) {
        code_point = code_point * 8 + static_cast<uint32_t>(source_[at_++] - '0');
      }
      append_code_point(text, code_point);
    } else if (c == 'N') {
      fail(begin, "'\\N{...}' escapes are not supported; write the character itself");
    } else if (c != '\n') {  // a backslash at the end of a line joins the lines
      text += '\\';
      text += c;
    }
  }

  uint32_t take_hex(size_t begin, size_t digits) {
    uint32_t value = 0;
    const std::string_view text = rest(at_).substr(0, digits);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (text.size() < digits || error != std::errc{} || end != text.data() + digits ||
        value > 0x10FFFF) {
      fail(begin,
           fmt::format("a '\\x', '\\u' or '\\U' escape lacks its {} hexadecimal digits", digits));
    }
    at_ += digits;
    return value;
  }

  std::string_view source_;
  size_t at_ = 0;
  size_t counted_ = 0;  // bytes whose newlines are in line_
  int line_ = 1;
  std::vector<Token> tokens_;
};

}  // namespace

std::string normalize_source(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
    } else {
      out += '\n';
      i += source.substr(i, 2) == "\r\n" ? 1 : 0;
    }
  }
  if (!out.empty() && out.back() == '\n') {
    out.pop_back();
  }
  return out;
}

std::vector<Token> tokenize(std::string_view source) {
  return Lexer(source).run();
}

}  // namespace mm::jinja
