#include "load/arrivals.h"

#include <cmath>

#include "base/rng.h"
#include "load/random_streams.h"

namespace mm {

std::vector<double> arrival_times(Arrivals kind, double rate, int64_t count, uint64_t seed) {
  std::vector<double> times;
  double time = 0;
  for (int64_t i = 0; i < count; ++i) {
    times.push_back(kind == Arrivals::kFixed ? static_cast<double>(i) / rate : time);
    // -log(1 - u) is exponential with mean 1 for a uniform u; u < 1, so that it is finite.
    time -= std::log1p(-philox_uniform(seed, kArrivalStream, static_cast<uint64_t>(i))) / rate;
  }
  return times;
}

}  // namespace mm
