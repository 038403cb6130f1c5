/// Tokens that stand outside byte-pair encoding: markers such as <end_of_sentence>.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/function_ref.h"

namespace mm {

/// An added token as tokenizer.json describes it.
struct AddedToken {
  int64_t id = 0;
  std::string content;
  bool special = false;      ///< a marker, not text: hidden when decoding
  bool lstrip = false;       ///< also takes the white space before it
  bool rstrip = false;       ///< also takes the white space after it
  bool single_word = false;  ///< only where no word character touches it
  bool normalized = false;   ///< looked for after normalising the text, not before
};

/// A stretch of text between added tokens, or one added token.
struct TextPart {
  std::string_view text;
  int32_t id = -1;  ///< the added token; -1 for ordinary text
};

/// Finds added tokens in text: leftmost first, the longest of those that begin together.
class AddedTokenFinder {
 public:
  /// Contents are not empty.
  explicit AddedTokenFinder(std::vector<AddedToken> tokens);

  /// Which tokens are markers and which are ordinary text.
  enum class Special { kParse, kAsText };

  /// Calls `sink` for the parts of valid UTF-8 `text` in order; no part of ordinary text is empty.
  /// With kAsText a special token in the text is left as text, as tokenizers do: the search goes
  /// on after it. Cost: O(bytes · log tokens · length of the longest token) at worst, one table
  /// look-up a byte where no token begins.
  void split(std::string_view text, Special special, FunctionRef<void(const TextPart&)> sink) const;

 private:
  size_t next_candidate(std::string_view text, size_t at) const;
  const AddedToken* match_at(std::string_view text, size_t at) const;

  std::vector<AddedToken> tokens_;        ///< sorted by content
  std::array<bool, 256> begins_token_{};  ///< by first byte
  std::string first_bytes_;               ///< those bytes
};

}  // namespace mm
