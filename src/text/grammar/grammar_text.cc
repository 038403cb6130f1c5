#include "text/grammar/grammar_text.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "text/utf8.h"

namespace mm::grammar {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 20;
constexpr int kMaxNesting = 256;
constexpr int kMaxSigns = 16;       // each nests the tree one deeper
constexpr int kMaxCount = 100'000;  // an automaton has no more states

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

std::optional<uint32_t> hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return static_cast<uint32_t>(c - '0');
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? std::optional(static_cast<uint32_t>(lower - 'a' + 10))
                                      : std::nullopt;
}

/// Recursive descent over valid UTF-8.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  RuleSet parse() {
    for (skip_space(); at_ < text_.size(); skip_space()) {
      parse_rule();
    }
    check_all_defined();
    const auto root = numbers_.find("root");
    if (root == numbers_.end()) {
      fail("there is no rule named \"root\"");
    }
    rules_.root = root->second;
    return std::move(rules_);
  }

 private:
  struct Mention {
    int rule;
    size_t at;
  };

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    fail_at(at_, fmt::format(format, std::forward<Args>(args)...));
  }
  [[noreturn]] void fail_at(size_t at, const std::string& message) const {
    const std::string_view before = text_.substr(0, std::min(at, text_.size()));
    bad_input("grammar: line {}: {}", std::count(before.begin(), before.end(), '\n') + 1, message);
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
  void skip_space() {
    while (!ends()) {
      if (text_[at_] == '#') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) {
        ++at_;
      } else {
        return;
      }
    }
  }
  /// What stands here, for errors.
  std::string here() const {
    if (ends()) {
      return "the end";
    }
    const int length = utf8::decode_first(text_.substr(at_)).length;
    return fmt::format("\"{}\"", text_.substr(at_, static_cast<size_t>(length)));
  }

  std::string_view take_name() {
    const size_t begin = at_;
    while (!ends() && is_name_character(text_[at_])) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  bool take_definition_sign() {
    skip_space();
    if (text_.substr(at_, 3) != "::=") {
      return false;
    }
    at_ += 3;
    return true;
  }
  /// Whether a name stands here that begins the next rule.
  bool at_next_rule() {
    const size_t begin = at_;
    const bool is_rule = !take_name().empty() && take_definition_sign();
    at_ = begin;
    return is_rule;
  }

  int number_of(std::string_view name) {
    const auto [at, is_new] =
        numbers_.try_emplace(std::string(name), static_cast<int>(rules_.rules.size()));
    if (is_new) {
      rules_.rules.push_back({std::string(name), {}});
      defined_.push_back(false);
    }
    return at->second;
  }

  void parse_rule() {
    const std::string_view name = take_name();
    if (name.empty()) {
      fail("{} where a rule was expected (name ::= ...)", here());
    }
    if (!take_definition_sign()) {
      fail("{} behind \"{}\", expected \"::=\"", here(), name);
    }
    const auto rule = static_cast<size_t>(number_of(name));
    if (defined_[rule]) {
      fail("rule \"{}\" is defined twice", name);
    }
    defined_[rule] = true;
    Expression body = parse_choice(0);
    rules_.rules[rule].body = std::move(body);
    if (!ends() && !at_next_rule()) {
      fail("unexpected {}", here());
    }
  }

  void check_all_defined() const {
    for (const Mention& mention : mentions_) {
      if (!defined_[static_cast<size_t>(mention.rule)]) {
        fail_at(mention.at, fmt::format("there is no rule named \"{}\"",
                                        rules_.rules[static_cast<size_t>(mention.rule)].name));
      }
    }
  }

  Expression parse_choice(int depth) {
    if (depth > kMaxNesting) {
      fail("parentheses nested more than {} deep", kMaxNesting);
    }
    std::vector<Expression> parts;
    do {
      parts.push_back(parse_sequence(depth));
    } while (take('|'));
    return parts.size() == 1 ? std::move(parts[0]) : choice(std::move(parts));
  }

  Expression parse_sequence(int depth) {
    std::vector<Expression> parts;
    for (skip_space(); !ends() && peek() != '|' && peek() != ')' && !at_next_rule(); skip_space()) {
      parts.push_back(parse_counts(parse_item(depth)));
    }
    return parts.size() == 1 ? std::move(parts[0]) : sequence(std::move(parts));
  }

  Expression parse_item(int depth) {
    if (take('"')) {
      return parse_text();
    }
    if (take('[')) {
      return parse_class();
    }
    if (take('.')) {
      return chars({{0, kLastCodePoint}});
    }
    if (take('(')) {
      Expression inner = parse_choice(depth + 1);
      if (!take(')')) {
        fail("{} where \")\" was expected", here());
      }
      return inner;
    }
    const size_t begin = at_;
    const std::string_view name = take_name();
    if (name.empty()) {
      fail("unexpected {}", here());
    }
    const int rule = number_of(name);
    mentions_.push_back({rule, begin});
    return call(rule);
  }

  Expression parse_counts(Expression e) {
    for (int signs = 1;; ++signs) {
      skip_space();
      if (take('*')) {
        e = repeat(std::move(e), 0, Expression::kNoLimit);
      } else if (take('+')) {
        e = repeat(std::move(e), 1, Expression::kNoLimit);
      } else if (take('?')) {
        e = optional(std::move(e));
      } else if (take('{')) {
        e = parse_count(std::move(e));
      } else {
        return e;
      }
      if (signs > kMaxSigns) {
        fail("more than {} repetition signs after one another", kMaxSigns);
      }
    }
  }

  int take_number() {
    skip_space();
    int number = 0;
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') {
      number = number * 10 + (text_[at_++] - '0');
      if (number > kMaxCount) {
        fail("a repetition count is over {}", kMaxCount);
      }
    }
    if (at_ == begin) {
      fail("{} where a repetition count was expected", here());
    }
    skip_space();
    return number;
  }

  Expression parse_count(Expression e) {
    const int min = take_number();
    int max = min;
    if (take(',')) {
      skip_space();
      max = peek() == '}' ? Expression::kNoLimit : take_number();
    }
    if (!take('}')) {
      fail("{} where \"}}\" was expected", here());
    }
    if (max != Expression::kNoLimit && max < min) {
      fail("repetition {{{},{}}} ends before it begins", min, max);
    }
    return repeat(std::move(e), min, max);
  }

  Expression parse_text() {
    std::string text;
    while (!take('"')) {
      if (ends() || peek() == '\n') {
        fail("a text is not closed with \"");
      }
      utf8::append(take_character(), text);
    }
    return bytes(std::move(text));
  }

  Expression parse_class() {
    const bool negated = take('^');
    std::vector<CodeRange> ranges;
    while (!take(']')) {
      if (ends() || peek() == '\n') {
        fail("a character class is not closed with ]");
      }
      const char32_t first = take_character();
      char32_t last = first;
      if (peek() == '-' && text_.substr(at_, 2) != "-]") {
        ++at_;
        if (ends()) {
          fail("a character class is not closed with ]");
        }
        last = take_character();
      }
      if (last < first) {
        fail("a range of characters ends before it begins (U+{:04X} to U+{:04X})",
             static_cast<uint32_t>(first), static_cast<uint32_t>(last));
      }
      ranges.push_back({first, last});
    }
    return chars(negated ? complement(std::move(ranges)) : std::move(ranges));
  }

  char32_t take_character() {
    if (!take('\\')) {
      const utf8::Decoded decoded = utf8::decode_first(text_.substr(at_));
      at_ += static_cast<size_t>(decoded.length);
      return decoded.code_point;
    }
    const char escape = peek();
    ++at_;
    switch (escape) {
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'x':
        return take_hex(2);
      case 'u':
        return take_hex(4);
      case 'U':
        return take_hex(8);
      default:
        if (escape == '\0' || std::string_view("\\\"[]-^").find(escape) == std::string_view::npos) {
          --at_;
          fail("\"\\\" before {}, expected one of n r t x u U \\ \" [ ] - ^", here());
        }
        return static_cast<char32_t>(escape);
    }
  }

  char32_t take_hex(int digits) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const std::optional<uint32_t> digit = hex_digit(peek());
      if (!digit) {
        fail("{} where one of {} hexadecimal digits was expected", here(), digits);
      }
      value = value * 16 + *digit;
      ++at_;
    }
    if (value > kLastCodePoint || (value >= 0xD800 && value <= 0xDFFF)) {
      fail("U+{:04X} is no character", static_cast<uint32_t>(value));
    }
    return value;
  }

  std::string_view text_;
  size_t at_ = 0;
  RuleSet rules_;
  std::map<std::string, int> numbers_;
  std::vector<bool> defined_;
  std::vector<Mention> mentions_;
};

}  // namespace

RuleSet parse_grammar_text(std::string_view text) {
  if (text.size() > kMaxBytes) {
    raise(ErrorKind::kTooLarge, "grammar: {} bytes, expected at most {}", text.size(), kMaxBytes);
  }
  utf8::require_valid(text, "grammar");
  return Parser(text).parse();
}

}  // namespace mm::grammar
