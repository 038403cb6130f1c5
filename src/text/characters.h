/// Unicode properties and normal forms; utf8proc stays behind this header.
#pragma once

#include <string>
#include <string_view>

namespace mm {

/// The Unicode property White_Space: what `\s` means in tokenizer files.
bool is_white_space(char32_t code_point);

/// A character that `\w` matches: letter, mark, decimal digit, letter number, connector,
/// joiner, or one of the enclosed letters that count as alphabetic.
bool is_word_character(char32_t code_point);

/// The four normal forms of Unicode.
enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

/// Valid UTF-8 in a normal form. Cost: O(n log n) for any input: runs of combining marks are
/// sorted, not bubbled. Source: Unicode Standard Annex 15.
std::string normalize(std::string_view text, NormalForm form);

}  // namespace mm
