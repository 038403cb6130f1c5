#include "text/grammar/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>

#include "base/error.h"
#include "text/utf8.h"

namespace mm::grammar {
namespace {

constexpr char32_t kFirstPrintable = 0x20;

/// Characters of a name: expressions nest as deep.
constexpr size_t kMaxName = 256;

bool needs_escape(char32_t c) {
  return c < kFirstPrintable || c == '"' || c == '\\';
}

std::string escape_of(char32_t c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  }
}

const std::vector<CodeRange>& escaped_ranges() {
  static const std::vector<CodeRange> kRanges = {
      {0, kFirstPrintable - 1}, {'"', '"'}, {'\\', '\\'}};
  return kRanges;
}

std::vector<CodeRange> intersect(const std::vector<CodeRange>& a, const std::vector<CodeRange>& b) {
  std::vector<CodeRange> both;
  for (const CodeRange& x : a) {
    for (const CodeRange& y : b) {
      const CodeRange common = {std::max(x.first, y.first), std::min(x.last, y.last)};
      if (common.first <= common.last) {
        both.push_back(common);
      }
    }
  }
  return both;
}

Expression hex_digits(int count) {
  return repeat(chars({{'0', '9'}, {'a', 'f'}, {'A', 'F'}}), count, count);
}

/// \uXXXX, and two of them for a character over U+FFFF.
Expression unicode_escape() {
  const std::vector<CodeRange> d = {{'d', 'd'}, {'D', 'D'}};
  Expression others = sequence(
      {chars({{'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}}), hex_digits(3)});
  Expression below = sequence({chars(d), chars({{'0', '7'}}), hex_digits(2)});
  Expression pair =
      sequence({chars(d), chars({{'8', '9'}, {'a', 'b'}, {'A', 'B'}}), hex_digits(2), bytes("\\u"),
                chars(d), chars({{'c', 'f'}, {'C', 'F'}}), hex_digits(2)});
  return sequence({bytes("u"), choice({std::move(others), std::move(below), std::move(pair)})});
}

/// Texts as lists of characters, sorted; `at`: how many characters are read.
Expression ends_besides(std::span<const std::u32string> texts, size_t at) {
  const Expression quote = bytes("\"");
  const Expression plain = chars(complement(escaped_ranges()));
  std::vector<Expression> parts;
  std::vector<CodeRange> others = escaped_ranges();
  if (texts[0].size() > at) {
    parts.push_back(quote);  // none of the texts ends here
  }
  size_t begin = texts[0].size() == at ? 1 : 0;
  while (begin < texts.size()) {
    const char32_t c = texts[begin][at];
    size_t end = begin;
    while (end < texts.size() && texts[end][at] == c) {
      ++end;
    }
    others.push_back({c, c});
    parts.push_back(
        sequence({chars({{c, c}}), ends_besides(texts.subspan(begin, end - begin), at + 1)}));
    begin = end;
  }
  parts.push_back(sequence(
      {chars(complement(std::move(others))), repeat(plain, 0, Expression::kNoLimit), quote}));
  return choice(std::move(parts));
}

/// The characters of a text; empty if one of them needs an escape.
std::optional<std::u32string> plain_characters(std::string_view text) {
  std::u32string characters;
  while (!text.empty()) {
    const utf8::Decoded decoded = utf8::decode_first(text);
    if (needs_escape(decoded.code_point)) {
      return std::nullopt;
    }
    characters.push_back(decoded.code_point);
    text.remove_prefix(static_cast<size_t>(decoded.length));
  }
  return characters;
}

}  // namespace

Expression json_space() {
  Expression indent = repeat(chars({{' ', ' '}, {'\t', '\t'}}), 0, 64);
  return choice({bytes(""), bytes(" "), sequence({bytes("\n"), std::move(indent)})});
}

Expression json_character() {
  Expression short_escape = chars({{'"', '"'},
                                   {'\\', '\\'},
                                   {'/', '/'},
                                   {'b', 'b'},
                                   {'f', 'f'},
                                   {'n', 'n'},
                                   {'r', 'r'},
                                   {'t', 't'}});
  return choice({chars(complement(escaped_ranges())),
                 sequence({bytes("\\"), choice({std::move(short_escape), unicode_escape()})})});
}

Expression json_character_of(const std::vector<CodeRange>& ranges) {
  std::vector<Expression> parts = {chars(intersect(ranges, complement(escaped_ranges())))};
  for (const CodeRange& range : intersect(ranges, escaped_ranges())) {
    for (char32_t c = range.first; c <= range.last; ++c) {
      parts.push_back(bytes(escape_of(c)));
    }
  }
  return choice(std::move(parts));
}

std::string json_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80 && needs_escape(byte)) {
      result += escape_of(byte);
    } else {
      result += c;
    }
  }
  return result + "\"";
}

Expression json_string_besides(const std::vector<std::string>& texts) {
  std::vector<std::u32string> characters;
  for (const std::string& text : texts) {
    if (std::optional<std::u32string> plain = plain_characters(text)) {
      if (plain->size() > kMaxName) {
        raise(ErrorKind::kTooLarge,
              "json schema: a property's name has {} characters; beside additional properties at "
              "most {} can be told apart",
              plain->size(), kMaxName);
      }
      characters.push_back(std::move(*plain));
    }
  }
  std::sort(characters.begin(), characters.end());
  characters.erase(std::unique(characters.begin(), characters.end()), characters.end());
  if (characters.empty()) {
    return sequence({bytes("\""),
                     repeat(chars(complement(escaped_ranges())), 0, Expression::kNoLimit),
                     bytes("\"")});
  }
  return sequence({bytes("\""), ends_besides(characters, 0)});
}

}  // namespace mm::grammar
