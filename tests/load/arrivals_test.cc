#include "load/arrivals.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace mm {
namespace {

constexpr double kRate = 4;

std::vector<double> gaps_of(const std::vector<double>& times) {
  std::vector<double> gaps;
  for (size_t i = 1; i < times.size(); ++i) {
    gaps.push_back(times[i] - times[i - 1]);
  }
  return gaps;
}

TEST(Arrivals, FixedOnesAreEquallyFarApart) {
  EXPECT_EQ(arrival_times(Arrivals::kFixed, kRate, 5, 1),
            (std::vector<double>{0, 0.25, 0.5, 0.75, 1}));
}

TEST(Arrivals, AnInfiniteRateIsAllAtOnce) {
  const double infinite = std::numeric_limits<double>::infinity();
  for (const Arrivals kind : {Arrivals::kFixed, Arrivals::kPoisson}) {
    EXPECT_EQ(arrival_times(kind, infinite, 3, 1), (std::vector<double>{0, 0, 0}));
  }
}

TEST(Arrivals, TheSeedDecides) {
  const auto times = arrival_times(Arrivals::kPoisson, kRate, 100, 7);
  EXPECT_EQ(arrival_times(Arrivals::kPoisson, kRate, 100, 7), times);
  EXPECT_NE(arrival_times(Arrivals::kPoisson, kRate, 100, 8), times);
  EXPECT_TRUE(arrival_times(Arrivals::kPoisson, kRate, 0, 7).empty());
}

TEST(Arrivals, GapsOfPoissonAreExponential) {
  constexpr int kGaps = 100000;
  const auto times = arrival_times(Arrivals::kPoisson, kRate, kGaps + 1, 1);
  EXPECT_EQ(times[0], 0);
  double sum = 0, squares = 0, neighbours = 0;
  int long_ones = 0;
  double before = 0;  // distance to the mean, in means, of the gap before
  for (const double gap : gaps_of(times)) {
    ASSERT_GE(gap, 0);
    const double distance = gap * kRate - 1;
    sum += distance;
    squares += distance * distance;
    neighbours += distance * before;
    before = distance;
    long_ones += gap * kRate > 1 ? 1 : 0;
  }
  // In units of the mean an exponential gap has mean 1, variance 1 and fourth central moment 9: the
  // mean of n gaps has standard error 1/√n, their variance √(8/n), the mean product of neighbours
  // 1/√n. Five of them leave a chance of 6e-7 to a right generator; the seed is fixed.
  const double root = std::sqrt(double{kGaps});
  EXPECT_NEAR(sum / kGaps, 0, 5 / root);
  EXPECT_NEAR(squares / kGaps, 1, 5 * std::sqrt(8.0) / root);
  EXPECT_NEAR(neighbours / kGaps, 0, 5 / root);
  const double share = std::exp(-1.0);  // of gaps over the mean
  EXPECT_NEAR(double{1} * long_ones / kGaps, share, 5 * std::sqrt(share * (1 - share)) / root);
}

TEST(Arrivals, CountsOfPoissonVaryAsMuchAsTheyAre) {
  constexpr int kSeconds = 10000;
  const auto times =
      arrival_times(Arrivals::kPoisson, kRate, static_cast<int64_t>(2 * kRate * kSeconds), 2);
  ASSERT_GT(times.back(), kSeconds);
  std::vector<double> counts(kSeconds);
  for (const double time : times) {
    if (time > 0 && time < kSeconds) {
      ++counts[static_cast<size_t>(time)];
    }
  }
  double mean = 0, variance = 0;
  for (const double count : counts) {
    mean += count / kSeconds;
  }
  for (const double count : counts) {
    variance += (count - mean) * (count - mean) / kSeconds;
  }
  // A Poisson count of mean λ has variance λ and fourth central moment λ + 3λ²: standard errors
  // √(λ/n) and √((λ + 2λ²)/n).
  EXPECT_NEAR(mean, kRate, 5 * std::sqrt(kRate / kSeconds));
  EXPECT_NEAR(variance, kRate, 5 * std::sqrt((kRate + 2 * kRate * kRate) / kSeconds));
}

}  // namespace
}  // namespace mm
