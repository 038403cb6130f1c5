#include "engine/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "model/weights.h"
#include "tests/engine/golden.h"

namespace mm {
namespace {

TEST(NegativeLogLikelihood, IsThatOfTheSoftmax) {
  const std::vector<float> logits = {1, 2, 3, 1000};
  EXPECT_NEAR(negative_log_likelihood(logits, 3), 0, 1e-12);
  EXPECT_NEAR(negative_log_likelihood(logits, 0), 999, 1e-9);
  const std::vector<float> equal(8, -5.0f);
  EXPECT_NEAR(negative_log_likelihood(equal, 2), std::log(8.0), 1e-12);
}

/// The mean over a case whose golden logits cover every token.
double golden_nats(const testing::GoldenCase& golden, int64_t vocab) {
  double sum = 0;
  for (size_t i = 0; i + 1 < golden.ids.size(); ++i) {
    sum += negative_log_likelihood(
        {golden.logits.data() + static_cast<int64_t>(i) * vocab, static_cast<size_t>(vocab)},
        golden.ids[i + 1]);
  }
  return sum / static_cast<double>(golden.ids.size() - 1);
}

TEST(Perplexity, EqualsThatOfTheGoldenLogits) {
  const Model model = load_model(testing::golden_folder("tiny"));
  const testing::GoldenCase golden = testing::read_golden("tiny", "block", model.config.vocab_size);
  ASSERT_EQ(golden.rows.size(), golden.ids.size());
  Runner runner(model, testing::golden_options(ComputeType::kF32, 2, 64));
  const Perplexity result = measure_perplexity(runner, golden.ids, 64);
  EXPECT_EQ(result.tokens, static_cast<int64_t>(golden.ids.size()) - 1);
  // Logits within 2e-4 of the golden ones move a log-likelihood by at most twice that.
  EXPECT_NEAR(result.nats_per_token, golden_nats(golden, model.config.vocab_size), 4e-4);
  EXPECT_DOUBLE_EQ(result.value(), std::exp(result.nats_per_token));
}

TEST(Perplexity, DoesNotDependOnChunksOrThreads) {
  const Model model = load_model(testing::golden_folder("tiny"));
  const std::vector<int32_t> ids =
      testing::read_golden("tiny", "short", model.config.vocab_size).ids;
  Runner one(model, testing::golden_options(ComputeType::kF32, 1, 64));
  Runner two(model, testing::golden_options(ComputeType::kF32, 2, 64));
  const double whole = measure_perplexity(one, ids, 64).nats_per_token;
  EXPECT_EQ(measure_perplexity(one, ids, 5).nats_per_token, whole);  // and after a reset
  EXPECT_EQ(measure_perplexity(two, ids, 1).nats_per_token, whole);
}

TEST(Perplexity, ProgressSeesEveryStepAndMayStop) {
  const Model model = load_model(testing::golden_folder("tiny"));
  Runner runner(model, testing::golden_options(ComputeType::kF32, 1, 4));
  const std::vector<int32_t> ids = {5, 6, 7, 8, 9, 10, 11};
  std::vector<int64_t> seen;
  measure_perplexity(runner, ids, 4, [&](int64_t done, int64_t total) {
    seen.push_back(done);
    EXPECT_EQ(total, 6);
    return true;
  });
  EXPECT_EQ(seen, (std::vector<int64_t>{4, 6}));
  EXPECT_EQ(measure_perplexity(runner, ids, 2, [](int64_t, int64_t) { return false; }).tokens, 2);
}

TEST(Perplexity, RefusesTextsItCannotScore) {
  const Model model = load_model(testing::golden_folder("tiny"));
  Runner runner(model, testing::golden_options(ComputeType::kF32, 1, 4));
  EXPECT_THROW(measure_perplexity(runner, std::vector<int32_t>{}, 4), Error);
  EXPECT_THROW(measure_perplexity(runner, std::vector<int32_t>{1}, 4), Error);
  EXPECT_THROW(measure_perplexity(runner, std::vector<int32_t>{1, 1 << 30}, 4), Error);
  EXPECT_THROW(measure_perplexity(runner, std::vector<int32_t>{1 << 30, 1}, 4), Error);
}

}  // namespace
}  // namespace mm
