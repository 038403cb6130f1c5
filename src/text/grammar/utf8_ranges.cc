// A range is cut where the number of bytes changes and around the surrogates, then until it is a
// product of byte ranges: all bytes after the first that differ must run over all of 80..BF.
#include "text/grammar/utf8_ranges.h"

#include <algorithm>
#include <array>
#include <string>

#include "text/utf8.h"

namespace mm::grammar {
namespace {

std::vector<ByteRange> product(char32_t first, char32_t last) {
  std::string low;
  std::string high;
  utf8::append(first, low);
  utf8::append(last, high);
  std::vector<ByteRange> bytes;
  for (size_t i = 0; i < low.size(); ++i) {
    bytes.push_back({static_cast<uint8_t>(low[i]), static_cast<uint8_t>(high[i])});
  }
  return bytes;
}

/// `first` and `last` have equally many bytes; `bits`: of the continuation bytes not yet aligned.
void split(char32_t first, char32_t last, int bits, std::vector<std::vector<ByteRange>>& out) {
  for (int shift = 6; shift <= bits; shift += 6) {
    const char32_t mask = (char32_t{1} << shift) - 1;
    if ((first & ~mask) == (last & ~mask)) {
      break;  // they differ in aligned bytes alone
    }
    if ((first & mask) != 0) {
      split(first, first | mask, bits, out);
      split((first | mask) + 1, last, bits, out);
      return;
    }
    if ((last & mask) != mask) {
      split(first, (last & ~mask) - 1, bits, out);
      split(last & ~mask, last, bits, out);
      return;
    }
  }
  out.push_back(product(first, last));
}

}  // namespace

std::vector<std::vector<ByteRange>> utf8_sequences(CodeRange range) {
  struct Length {
    CodeRange characters;
    int bits;
  };
  static constexpr std::array<Length, 5> kLengths = {{{{0, 0x7F}, 0},
                                                      {{0x80, 0x7FF}, 6},
                                                      {{0x800, 0xD7FF}, 12},
                                                      {{0xE000, 0xFFFF}, 12},
                                                      {{0x10000, kLastCodePoint}, 18}}};
  std::vector<std::vector<ByteRange>> sequences;
  for (const Length& length : kLengths) {
    const char32_t first = std::max(range.first, length.characters.first);
    const char32_t last = std::min(range.last, length.characters.last);
    if (first <= last) {
      split(first, last, length.bits, sequences);
    }
  }
  return sequences;
}

}  // namespace mm::grammar
