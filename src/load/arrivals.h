/// When requests arrive.
#pragma once

#include <cstdint>
#include <vector>

namespace mm {

enum class Arrivals {
  kFixed,   ///< one every 1 / rate seconds
  kPoisson  ///< independent of each other: gaps are exponential with mean 1 / rate
};

/// Seconds after the first one at which each of `count` requests is due, ascending; the first is
/// due at 0. `rate` > 0 is in requests per second; infinite: all are due at once. The same
/// arguments give the same times.
std::vector<double> arrival_times(Arrivals kind, double rate, int64_t count, uint64_t seed);

}  // namespace mm
