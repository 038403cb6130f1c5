/// Order statistics of what was measured.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mm {

/// Of n values; all zero when there are none.
struct Summary {
  int64_t count = 0;  ///< n
  double mean = 0;
  double deviation = 0;  ///< standard deviation: root of the mean square distance to the mean
  double min = 0;
  double median = 0;  ///< percentile 50
  double p90 = 0;
  double p99 = 0;
  double max = 0;
};

/// The value at `percent` (0 to 100) of n ≥ 1 ascending values: that at place percent / 100 · (n -
/// 1), counted from 0, linear between its two neighbours. The same as numpy's and spreadsheets'
/// default.
double percentile(std::span<const double> ascending, double percent);

Summary summarize(std::vector<double> values);

}  // namespace mm
