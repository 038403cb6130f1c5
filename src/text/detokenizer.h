/// Ids to text as they come.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "text/tokenizer.h"

namespace mm {

/// Turns a stream of ids into text, releasing whole characters only.
///
/// A token may end inside a character: its bytes wait for the next. All that is released is valid
/// UTF-8, and the pieces joined are what Tokenizer::decode gives for all ids at once.
class Detokenizer {
 public:
  /// `tokenizer` must outlive this object.
  explicit Detokenizer(const Tokenizer& tokenizer, DecodeOptions options = {})
      : tokenizer_(tokenizer), options_(std::move(options)) {}

  /// Text that the id completes; perhaps none. Ids without a token have no text: a model's matrix
  /// may have more rows than the tokenizer has tokens.
  std::string push(int32_t id);

  /// Ends the stream: bytes of an unfinished character become U+FFFD.
  std::string flush();

 private:
  const Tokenizer& tokenizer_;
  DecodeOptions options_;
  std::string pending_;  ///< the beginning of a character
};

}  // namespace mm
