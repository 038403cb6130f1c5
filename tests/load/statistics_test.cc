#include "load/statistics.h"

#include <gtest/gtest.h>

namespace mm {
namespace {

TEST(Statistics, PercentilesLieBetweenTheirNeighbours) {
  const std::vector<double> values = {10, 20, 40, 80};  // at places 0 to 3
  EXPECT_DOUBLE_EQ(percentile(values, 0), 10);
  EXPECT_DOUBLE_EQ(percentile(values, 50), 30);  // place 1.5
  EXPECT_DOUBLE_EQ(percentile(values, 90), 68);  // place 2.7
  EXPECT_DOUBLE_EQ(percentile(values, 100), 80);
}

TEST(Statistics, OfOneValueAllAreThatValue) {
  const Summary one = summarize({7});
  EXPECT_EQ(one.count, 1);
  for (const double value : {one.mean, one.min, one.median, one.p90, one.p99, one.max}) {
    EXPECT_EQ(value, 7);
  }
  EXPECT_EQ(one.deviation, 0);
}

TEST(Statistics, OfNothingAllAreZero) {
  const Summary none = summarize({});
  EXPECT_EQ(none.count, 0);
  EXPECT_EQ(none.mean, 0);
  EXPECT_EQ(none.max, 0);
}

TEST(Statistics, OrderDoesNotMatter) {
  // 0 … 100 shuffled by a multiplier prime to 101.
  std::vector<double> values;
  for (int i = 0; i <= 100; ++i) {
    values.push_back(i * 37 % 101);
  }
  const Summary all = summarize(values);
  EXPECT_DOUBLE_EQ(all.mean, 50);
  EXPECT_DOUBLE_EQ(all.median, 50);
  EXPECT_DOUBLE_EQ(all.p90, 90);
  EXPECT_DOUBLE_EQ(all.p99, 99);
  EXPECT_EQ(all.min, 0);
  EXPECT_EQ(all.max, 100);
  // The variance of 0 … n - 1 is (n² - 1) / 12.
  EXPECT_DOUBLE_EQ(all.deviation * all.deviation, (101.0 * 101 - 1) / 12);
}

}  // namespace
}  // namespace mm
