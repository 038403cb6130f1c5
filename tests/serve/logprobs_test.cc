#include "serve/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mm {
namespace {

TEST(Logprobs, AreThoseOfASoftmax) {
  // Weights 1, 2, 4, 1 over 8; shifted far from zero, which must not matter.
  std::vector<float> logits = {0, std::log(2.0f), std::log(4.0f), 0};
  for (float& logit : logits) {
    logit += 50;
  }
  const TokenLogprobs found = find_logprobs(logits, 1, 3);
  // Logits near 50 have steps of 2^-18: that is what a logarithm of theirs can be off by.
  EXPECT_NEAR(found.logprob, std::log(0.25), 1.0 / (1 << 17));
  ASSERT_EQ(found.top.size(), 3u);
  EXPECT_EQ(found.top[0].first, 2);
  EXPECT_EQ(found.top[1].first, 1);
  EXPECT_EQ(found.top[2].first, 0);  // of equal ones the lower id
  EXPECT_EQ(found.top[1].second, found.logprob);
}

TEST(Logprobs, BannedRowsAndFewTokensAreNoTrouble) {
  const std::vector<float> logits = {1, -INFINITY};
  const TokenLogprobs found = find_logprobs(logits, 0, 20);
  EXPECT_FLOAT_EQ(found.logprob, 0);
  EXPECT_EQ(found.top.size(), 2u);
  EXPECT_TRUE(find_logprobs(logits, 0, 0).top.empty());
}

}  // namespace
}  // namespace mm
