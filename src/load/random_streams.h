/// Streams of the one seed of a load (base/rng.h): what is drawn for one purpose does not move what
/// is drawn for another.
#pragma once

#include <cstdint>

namespace mm {

constexpr uint64_t kArrivalStream = 0;
constexpr uint64_t kLengthStream = 1;
/// Request i has its words from stream kPromptStream + i, group g of prefixes from
/// kPrefixStream + g.
constexpr uint64_t kPromptStream = uint64_t{1} << 32;
constexpr uint64_t kPrefixStream = uint64_t{1} << 48;

}  // namespace mm
