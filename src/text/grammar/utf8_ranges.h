/// Ranges of characters as ranges of bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "text/grammar/expression.h"

namespace mm::grammar {

/// Bytes `first` to `last`, both included.
struct ByteRange {
  uint8_t first = 0;
  uint8_t last = 0;
};

/// Sequences of byte ranges that together match the UTF-8 forms of the characters `first` to `last`
/// without surrogates, each exactly once.
std::vector<std::vector<ByteRange>> utf8_sequences(CodeRange range);

}  // namespace mm::grammar
