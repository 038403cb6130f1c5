// The arithmetic of drawing; what it draws: tests/engine/sampler_test.cc.
#include "ops/token_draw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

namespace mm {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(DrawWeight, IsExpRoundedToAMultiple) {
  EXPECT_EQ(draw_weight(0), 1);
  EXPECT_EQ(draw_weight(-kInf), 0);
  for (float x = 0; x > -90; x -= 0.00137F) {
    const double exact = std::exp(static_cast<double>(x));
    const double weight = draw_weight(x);
    // A few units of 2^-24 of the weight, and half a unit of 2^-32.
    ASSERT_NEAR(weight, exact, exact * 5e-7 + 0x1p-33) << x;
    ASSERT_EQ(weight * 0x1p32, std::floor(weight * 0x1p32)) << x;
  }
}

TEST(DrawWeight, SumsAreExactInAnyOrder) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> logits(-30, 0);
  std::vector<double> weights(200'064);
  for (double& w : weights) w = draw_weight(logits(random));
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (int i = 0; i < 5; ++i) {
    std::shuffle(weights.begin(), weights.end(), random);
    EXPECT_EQ(std::accumulate(weights.begin(), weights.end(), 0.0), sum);
  }
}

TEST(DrawBin, WorseLogitsAreNeverInAnEarlierPart) {
  for (const float temperature : {1e-38F, 0.1F, 1.0F, 3e38F}) {
    const float scale = draw_bin_scale(inverse_temperature({.temperature = temperature}));
    int before = 0;
    for (float below = 0.001F; below < 200; below *= 1.01F) {
      const int bin = draw_bin(below, scale);
      EXPECT_GE(bin, before);
      EXPECT_LT(bin, kDrawBins);
      before = bin;
    }
    EXPECT_EQ(draw_bin(kInf, scale), kDrawBins - 1);
  }
}

TEST(DrawnLogits, StayFreeOfNanAndInfinity) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  EXPECT_EQ(finite_logit(kInf), -kInf);
  EXPECT_EQ(finite_logit(std::numeric_limits<float>::quiet_NaN()), -kInf);
  EXPECT_EQ(finite_logit(-3), -3);
  EXPECT_EQ(biased_logit(3e38F, 3e38F), kLargest);
  EXPECT_EQ(biased_logit(1, -kInf), -kInf);
  EXPECT_EQ(repeated_logit(3e38F, 1e-30F), kLargest);
  EXPECT_EQ(drawn_logit(3e38F, 1'000'000, 0, -1e38F), kLargest);
}

}  // namespace
}  // namespace mm
