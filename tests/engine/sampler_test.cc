#include "engine/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/rng.h"

namespace mm {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Draws as the engine does: what is drawn is remembered.
int32_t sample(Sampler& sampler, const std::vector<float>& logits,
               const std::vector<uint64_t>& allowed = {}) {
  HostTokenDrawer drawer(static_cast<int64_t>(logits.size()));
  const int32_t id = drawer.draw(logits, sampler.next(allowed));
  if (id != kNoToken) {
    sampler.accept(id);
  }
  return id;
}

SamplingParams hot() {
  SamplingParams params;
  params.temperature = 1;
  params.seed = 7;
  return params;
}

std::vector<float> random_logits(int64_t count, uint64_t seed, float scale) {
  std::vector<float> logits;
  for (int64_t i = 0; i < count; ++i) {
    const double u = philox_uniform(seed, 1, static_cast<uint64_t>(i));
    const double v = philox_uniform(seed, 2, static_cast<uint64_t>(i));
    logits.push_back(scale * static_cast<float>(std::sqrt(-2 * std::log(1 - u)) *
                                                std::cos(6.283185307179586 * v)));
  }
  return logits;
}

/// What the stages should leave, computed the plain way: sort everything, in double.
std::vector<double> exact_distribution(const std::vector<float>& logits,
                                       const SamplingParams& params) {
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  std::vector<double> weights(logits.size(), 0.0);
  const size_t k =
      params.top_k > 0 ? std::min(logits.size(), static_cast<size_t>(params.top_k)) : logits.size();
  double total = 0;
  for (size_t rank = 0; rank < k; ++rank) {
    const double difference = double{logits[order[rank]]} - double{logits[order[0]]};
    weights[order[rank]] = std::exp(difference / double{params.temperature});
    total += weights[order[rank]];
  }
  double before = 0;
  double kept = 0;
  for (size_t rank = 0; rank < k; ++rank) {
    double& weight = weights[order[rank]];
    const bool in = before < double{params.top_p} * total && weight >= double{params.min_p};
    before += weight;
    weight = in ? weight : 0.0;
    kept += weight;
  }
  for (double& weight : weights) {
    weight /= kept;
  }
  return weights;
}

/// Pearson's statistic against the exact probabilities, cells of under 5 expected draws merged.
/// For df degrees of freedom it stays under df + 5·sqrt(2·df) + 12 but for about one run in 10^6
/// (the normal tail at 5 sigma plus room for the skew of small df); seeds are fixed, so a pass is
/// a pass forever.
void expect_draws_match(const std::vector<float>& logits, const SamplingParams& params,
                        int draws = 20000) {
  const std::vector<double> exact = exact_distribution(logits, params);
  Sampler sampler(params, static_cast<int64_t>(logits.size()), {});
  std::vector<int> counts(logits.size(), 0);
  for (int i = 0; i < draws; ++i) {
    ++counts[static_cast<size_t>(sample(sampler, logits))];
  }
  double statistic = 0;
  double merged_expected = 0;
  double merged_seen = 0;
  int cells = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    const double expected = exact[i] * draws;
    if (exact[i] == 0) {
      EXPECT_EQ(counts[i], 0) << "id " << i << " should have been cut";
    } else if (expected < 5) {
      merged_expected += expected;
      merged_seen += counts[i];
    } else {
      statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
      ++cells;
    }
  }
  if (merged_expected >= 5) {
    statistic +=
        (merged_seen - merged_expected) * (merged_seen - merged_expected) / merged_expected;
    ++cells;
  }
  const double df = std::max(1, cells - 1);
  EXPECT_LT(statistic, df + 5 * std::sqrt(2 * df) + 12) << "with " << df << " degrees of freedom";
}

int32_t greedy(const std::vector<float>& logits, const SamplingParams& params = {},
               const std::vector<int32_t>& banned = {}) {
  Sampler sampler(params, static_cast<int64_t>(logits.size()), banned);
  return sample(sampler, logits);
}

TEST(Sampler, GreedyTakesTheLargestAndTheLowestIdAmongEquals) {
  EXPECT_EQ(greedy({0, 3, 1}), 1);
  EXPECT_EQ(greedy({-5, -1, -1, -1}), 1);
  std::vector<float> long_row(1000, -2.0f);
  long_row[777] = 1;
  long_row[130] = 1;
  EXPECT_EQ(greedy(long_row), 130);
  EXPECT_EQ(greedy(std::vector<float>(1000, 0.0f)), 0);
}

TEST(Sampler, ValuesThatAreNotFiniteNeverWin) {
  EXPECT_EQ(greedy({kNan, 1, kInf, 2, -kInf}), 3);
  const std::vector<float> logits = {kNan, 0, kInf, 0, -kInf};
  Sampler sampler(hot(), 5, {});
  std::set<int32_t> seen;
  for (int i = 0; i < 200; ++i) {
    seen.insert(sample(sampler, logits));
  }
  EXPECT_EQ(seen, (std::set<int32_t>{1, 3}));
}

TEST(Sampler, ARowWithoutAFiniteLogitHasNoToken) {
  EXPECT_EQ(greedy({kNan, kNan}), kNoToken);
  EXPECT_EQ(greedy({1, 2}, {}, {0, 1}), kNoToken);
}

TEST(Sampler, BannedIdsNeverWinWhateverTheBias) {
  SamplingParams params;
  params.logit_bias = {{1, 100.0f}};
  EXPECT_EQ(greedy({0, 50, 1}, params, {1}), 2);
  params = hot();
  params.top_k = 2;
  Sampler sampler(params, 3, std::vector<int32_t>{1});
  for (int i = 0; i < 100; ++i) {
    EXPECT_NE(sample(sampler, std::vector<float>{0, 50, 1}), 1);
  }
}

TEST(Sampler, BiasIsAddedAndMinusInfinityBans) {
  SamplingParams params;
  params.logit_bias = {{2, 5.0f}, {0, -kInf}};
  EXPECT_EQ(greedy({9, 3, 0}, params), 2);
  params.logit_bias = {{0, -kInf}};
  EXPECT_EQ(greedy({9, 3, 0}, params), 1);
}

TEST(Sampler, RepetitionPenaltyLowersPositiveAndNegativeLogitsOfSeenIds) {
  SamplingParams params;
  params.repetition_penalty = 2;
  Sampler positive(params, 3, {});
  positive.accept_prompt(std::vector<int32_t>{0});
  EXPECT_EQ(sample(positive, std::vector<float>{4, 3, 1}), 1);  // 4 / 2 < 3
  Sampler negative(params, 3, {});
  negative.accept_prompt(std::vector<int32_t>{0});
  EXPECT_EQ(sample(negative, std::vector<float>{-2, -3, -9}), 1);  // -2 · 2 < -3
}

TEST(Sampler, RepetitionPenaltyCountsARepeatedIdOnce) {
  SamplingParams params;
  params.repetition_penalty = 2;
  Sampler sampler(params, 2, {});
  sampler.accept_prompt(std::vector<int32_t>{0, 0, 0, 0});
  EXPECT_EQ(sample(sampler, std::vector<float>{4, 1.5f}), 0);  // 4 / 2, not 4 / 16
}

TEST(Sampler, RepetitionWindowForgetsOldIds) {
  const std::vector<float> logits = {4, 3, 2.5f, -9};
  for (const auto& [window, expected] :
       std::vector<std::pair<int, int32_t>>{{-1, 2}, {3, 2}, {2, 0}, {0, 0}}) {
    SamplingParams params;
    params.repetition_penalty = 2;
    params.penalty_window = window;
    Sampler sampler(params, 4, {});
    sampler.accept_prompt(std::vector<int32_t>{0, 1, 3});
    EXPECT_EQ(sample(sampler, logits), expected) << "window " << window;
  }
}

TEST(Sampler, RepetitionWindowIsARing) {
  SamplingParams params;
  params.repetition_penalty = 10;
  params.penalty_window = 2;
  Sampler sampler(params, 4, {});
  std::vector<int32_t> drawn;
  for (int i = 0; i < 6; ++i) {
    drawn.push_back(sample(sampler, std::vector<float>{4, 3, 2, 1}));
  }
  EXPECT_THAT(drawn, testing::ElementsAre(0, 1, 2, 0, 1, 2));
}

TEST(Sampler, PresencePenaltyCountsOnceAndOnlyDrawnIds) {
  SamplingParams params;
  params.presence_penalty = 1.5f;
  Sampler sampler(params, 3, {});
  sampler.accept_prompt(std::vector<int32_t>{0, 0});
  const std::vector<float> logits = {4, 3, 1};
  EXPECT_EQ(sample(sampler, logits), 0);  // the prompt does not count
  EXPECT_EQ(sample(sampler, logits), 1);  // 2.5, 3, 1
  EXPECT_EQ(sample(sampler, logits), 0);  // 2.5, 1.5, 1
  EXPECT_EQ(sample(sampler, logits), 0);  // still 2.5
}

TEST(Sampler, FrequencyPenaltyCountsEveryTime) {
  SamplingParams params;
  params.frequency_penalty = 1;
  Sampler sampler(params, 2, {});
  std::vector<int32_t> drawn;
  for (int i = 0; i < 5; ++i) {
    drawn.push_back(sample(sampler, std::vector<float>{2.5f, 1}));
  }
  EXPECT_THAT(drawn, testing::ElementsAre(0, 0, 1, 0, 1));  // 2.5 1.5 | .5<1 | .5>0 | -.5<0
}

TEST(Sampler, DrawsFollowTheSoftmax) {
  expect_draws_match({0, 1, 2, -1, 0.5f}, hot());
  expect_draws_match(random_logits(300, 1, 1.5f), hot());
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  SamplingParams params = hot();
  for (const float temperature : {0.3f, 0.7f, 2.5f}) {
    params.temperature = temperature;
    expect_draws_match(random_logits(200, 2, 1.0f), params);
  }
  params.temperature = 1e-30f;
  Sampler sampler(params, 3, {});
  EXPECT_EQ(sample(sampler, std::vector<float>{1, 1.001f, 0}), 1);
}

TEST(Sampler, TopKKeepsTheKBest) {
  SamplingParams params = hot();
  const std::vector<float> logits = random_logits(2000, 3, 2.0f);
  for (const int k : {1, 2, 31, 32, 33, 400, 1999, 2000, 9000}) {
    params.top_k = k;
    expect_draws_match(logits, params, 5000);
  }
}

TEST(Sampler, TopKPrefersLowIdsAmongEquals) {
  SamplingParams params = hot();
  params.top_k = 3;
  expect_draws_match(std::vector<float>(500, 1.0f), params);
}

TEST(Sampler, TopPKeepsTheSmallestNucleus) {
  SamplingParams params = hot();
  const std::vector<float> logits = random_logits(1000, 4, 2.0f);
  for (const float p : {1e-6f, 0.1f, 0.5f, 0.9f, 0.95f, 0.999f}) {
    params.top_p = p;
    expect_draws_match(logits, params, 5000);
  }
}

TEST(Sampler, TopPOfEqualWeightsCountsThem) {
  SamplingParams params = hot();
  params.top_p = 0.5f;
  expect_draws_match(std::vector<float>(8, 0.0f), params);
}

TEST(Sampler, MinPCutsBelowAShareOfTheBest) {
  SamplingParams params = hot();
  const std::vector<float> logits = random_logits(1000, 5, 2.0f);
  for (const float p : {0.01f, 0.3f, 1.0f}) {
    params.min_p = p;
    expect_draws_match(logits, params, 5000);
  }
}

TEST(Sampler, StagesCompose) {
  SamplingParams params = hot();
  params.temperature = 0.8f;
  params.top_k = 50;
  params.top_p = 0.9f;
  expect_draws_match(random_logits(1000, 6, 2.0f), params);
  params.min_p = 0.1f;
  expect_draws_match(random_logits(1000, 7, 2.0f), params);
  params.top_k = 0;
  expect_draws_match(random_logits(1000, 8, 2.0f), params);
}

TEST(Sampler, SameSeedSameDrawsAnotherSeedOthers) {
  const std::vector<float> logits = random_logits(1000, 9, 1.0f);
  const auto draw = [&](uint64_t seed) {
    SamplingParams params = hot();
    params.seed = seed;
    Sampler sampler(params, 1000, {});
    std::vector<int32_t> ids;
    for (int i = 0; i < 50; ++i) {
      ids.push_back(sample(sampler, logits));
    }
    return ids;
  };
  EXPECT_EQ(draw(3), draw(3));
  EXPECT_NE(draw(3), draw(4));
  EXPECT_NE(draw(3), draw(uint64_t{3} << 32));
}

TEST(Sampler, HugeLogitsDoNotOverflow) {
  SamplingParams params = hot();
  params.logit_bias = {{1, 3e38f}};
  params.repetition_penalty = 1e-30f;
  Sampler sampler(params, 3, {});
  sampler.accept_prompt(std::vector<int32_t>{1});
  EXPECT_EQ(sample(sampler, std::vector<float>{-3e38f, 3e38f, 0}), 1);
}

TEST(Sampler, ARowOfAnotherSizeIsAnError) {
  Sampler sampler({}, 3, {});
  HostTokenDrawer drawer(3);
  EXPECT_THROW(drawer.draw(std::vector<float>{1, 2}, sampler.next()), Error);
}

std::vector<uint64_t> bits_of(const std::vector<int32_t>& ids, size_t vocab) {
  std::vector<uint64_t> bits((vocab + 63) / 64);
  for (const int32_t id : ids) {
    bits[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  }
  return bits;
}

/// A mask means what logits of -inf mean, to every stage and bit for bit.
TEST(Sampler, AMaskIsAsGoodAsLogitsOfMinusInfinity) {
  constexpr size_t kVocab = 1000;  // the last word is not full
  const std::vector<float> logits = random_logits(kVocab, 3, 2);
  std::vector<int32_t> few = {5, 64, 127, 700, 999};
  std::vector<int32_t> many;
  for (int32_t id = 0; id < static_cast<int32_t>(kVocab); ++id) {
    if (id % 7 != 0) {
      many.push_back(id);
    }
  }
  for (const std::vector<int32_t>& ids : {few, many}) {
    std::vector<float> masked(kVocab, -kInf);
    for (const int32_t id : ids) {
      masked[static_cast<size_t>(id)] = logits[static_cast<size_t>(id)];
    }
    SamplingParams top_k = hot();
    top_k.top_k = 3;
    SamplingParams top_p = hot();
    top_p.top_p = 0.8f;
    SamplingParams penalised = hot();
    penalised.presence_penalty = 1;
    penalised.repetition_penalty = 1.3f;
    for (const SamplingParams& params : {SamplingParams(), hot(), top_k, top_p, penalised}) {
      Sampler with_mask(params, kVocab, {});
      Sampler without(params, kVocab, {});
      for (int draw = 0; draw < 50; ++draw) {
        const int32_t id = sample(with_mask, logits, bits_of(ids, kVocab));
        EXPECT_EQ(id, sample(without, masked));
        EXPECT_EQ(std::count(ids.begin(), ids.end(), id), 1);
      }
    }
  }
}

TEST(Sampler, AnEmptyMaskHasNoToken) {
  Sampler sampler({}, 3, {});
  EXPECT_EQ(sample(sampler, {1, 2, 3}, {0}), kNoToken);
  HostTokenDrawer drawer(3);
  const std::vector<uint64_t> too_long = {1, 0};
  EXPECT_THROW(drawer.draw(std::vector<float>{1, 2, 3}, sampler.next(too_long)), Error);
}

}  // namespace
}  // namespace mm
