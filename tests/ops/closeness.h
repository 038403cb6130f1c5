/// Comparing what two backends wrote.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/ops/cases.h"

namespace mm::testing {

/// |got - want| ≤ absolute · max|want| + relative · |want|, element by element; NaN never passes.
inline void expect_close(const TensorView& got, const TensorView& want, Bound bound) {
  const std::vector<double> a = values(got);
  const std::vector<double> b = values(want);
  ASSERT_EQ(a.size(), b.size());
  double largest = 0;
  for (double value : b) largest = std::max(largest, std::abs(value));
  double worst = 0;
  size_t where = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double room = bound.absolute * largest + bound.relative * std::abs(b[i]);
    const double excess = std::abs(a[i] - b[i]) - room;
    if (!(excess <= worst)) {  // also when it is NaN
      worst = excess;
      where = i;
    }
  }
  EXPECT_EQ(worst, 0) << "element " << where << ": got " << a[where] << ", want " << b[where]
                      << ", largest " << largest;
}

}  // namespace mm::testing
