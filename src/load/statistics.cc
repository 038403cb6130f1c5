#include "load/statistics.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace mm {

double percentile(std::span<const double> ascending, double percent) {
  MM_CHECK(!ascending.empty(), "a percentile of nothing");
  const double place = percent / 100 * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, ascending.size() - 1);
  return std::lerp(ascending[below], ascending[above], place - static_cast<double>(below));
}

Summary summarize(std::vector<double> values) {
  Summary result;
  if (values.empty()) {
    return result;
  }
  std::sort(values.begin(), values.end());
  const auto n = static_cast<double>(values.size());
  double sum = 0;
  for (const double value : values) {
    sum += value;
  }
  result.mean = sum / n;
  double squares = 0;
  for (const double value : values) {
    squares += (value - result.mean) * (value - result.mean);
  }
  result.count = static_cast<int64_t>(values.size());
  result.deviation = std::sqrt(squares / n);
  result.min = values.front();
  result.median = percentile(values, 50);
  result.p90 = percentile(values, 90);
  result.p99 = percentile(values, 99);
  result.max = values.back();
  return result;
}

}  // namespace mm
