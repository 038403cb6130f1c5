/// UTF-8: checking, walking and repairing. Every entry point of `text` that takes bytes from
/// outside checks them here once, so that everything behind it may assume valid text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mm::utf8 {

/// Offset of the first byte that does not belong to valid UTF-8 (surrogates, overlong forms and
/// values over U+10FFFF are invalid), or `npos` when the whole text is valid.
size_t find_invalid(std::string_view text);

/// Throws kBadInput naming `what` and the byte offset unless `text` is valid UTF-8.
void require_valid(std::string_view text, std::string_view what);

/// Length of the longest prefix that ends on a character boundary or cannot be completed by more
/// bytes: what is cut off (at most 3 bytes) is a valid beginning of one character.
size_t complete_prefix(std::string_view text);

/// The text with each invalid maximal subpart replaced by U+FFFD (Unicode 15, table 3-8).
std::string replace_invalid(std::string_view text);

/// True when no byte is over 0x7F.
bool is_ascii(std::string_view text);

/// A code point and the bytes it takes.
struct Decoded {
  char32_t code_point = 0;
  int length = 0;
};

/// First character of non-empty, valid text.
Decoded decode_first(std::string_view text);
/// Last character of non-empty, valid text.
Decoded decode_last(std::string_view text);

/// Appends the UTF-8 form of a code point (not a surrogate, at most U+10FFFF).
void append(char32_t code_point, std::string& out);

/// U+FFFD in UTF-8.
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

}  // namespace mm::utf8
