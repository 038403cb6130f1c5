/// Words to make prompts of, and how many tokens they are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"

namespace mm {

/// Common English words: in most vocabularies each is one token with a space before it.
std::span<const std::string_view> common_words();

/// What texts begin with: one token in every vocabulary we know of, with no space before it.
constexpr std::string_view kOpener = "The";

/// Words of which "The w1 w2 … wN" has N + 1 tokens.
struct Words {
  std::vector<std::string> words;
  bool counted = false;  ///< so found by counting; else merely assumed
};

/// The common words that are one token each, found out by asking `count_tokens` for the number of
/// tokens of texts; it may count a fixed number of tokens besides. All, not counted, if too few are
/// left to make texts of. Throws what `count_tokens` throws.
Words choose_words(FunctionRef<int64_t(const std::string& text)> count_tokens);

/// The common words, not counted.
Words assume_words();

}  // namespace mm
