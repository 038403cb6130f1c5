#include "cache/cache_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace mm {
namespace {

// A page of 1 head of 8 in bf16: 2·64·8·2 = 2048 bytes; a state 4·64·64·4 = 65,536.
CacheShape shape() {
  return {.layers = {{true, 4, 64}, {false, 1, 8}}};
}

TEST(CacheBudget, TheIntervalBalancesStatesAndPages) {
  EXPECT_EQ(shape().page_bytes(), 2048);
  EXPECT_EQ(shape().state_bytes(), 65536);
  EXPECT_EQ(choose_checkpoint_interval(shape()), 2048);  // 32 pages of 64 tokens
  EXPECT_EQ(choose_checkpoint_interval({.layers = {{false, 8, 128}}}), 512);
  EXPECT_EQ(choose_checkpoint_interval({.layers = {{true, 64, 128}}}), 16384);
}

TEST(CacheBudget, WithoutABudgetEveryContextFits) {
  const CachePlan plan = plan_cache(shape(), {.context_tokens = 10000, .sequences = 3});
  EXPECT_EQ(plan.sizes.pages, 3 * 157);
  EXPECT_EQ(plan.sizes.live, 3);
  EXPECT_GE(plan.sizes.checkpoints, plan.sizes.pages * 64 / plan.checkpoint_every);
}

TEST(CacheBudget, ABudgetIsKept) {
  for (const int64_t context : {0, 1, 640, 5000}) {
    for (const int64_t memory : {2'000'000, 10'000'000, 1'000'000'000}) {
      const CacheWishes wishes{.memory_bytes = memory,
                               .workspace_bytes = 500'000,
                               .context_tokens = context,
                               .sequences = 2};
      const CachePlan plan = plan_cache(shape(), wishes);
      const int64_t used = wishes.workspace_bytes + plan.sizes.bytes(shape());
      EXPECT_LE(used, memory);
      EXPECT_GT(used, memory - 65536 - 2048);  // nothing worth a state is left over
      EXPECT_GE(plan.sizes.pages * 64, context);
      EXPECT_GE(plan.sizes.checkpoints, 1);
    }
  }
}

TEST(CacheBudget, TooLittleIsRefusedWithBothNumbers) {
  const CacheWishes wishes{
      .memory_bytes = 100'000, .workspace_bytes = 50'000, .context_tokens = 6400};
  try {
    plan_cache(shape(), wishes);
    FAIL() << "no exception";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kTooLarge);
    EXPECT_THAT(error.what(), testing::HasSubstr("100000"));
    EXPECT_THAT(error.what(), testing::HasSubstr("6400 tokens"));
    // Workspace, one live state and tail, 100 pages, one checkpoint.
    const int64_t least = 50'000 + 65536 + 2 * 4 * 64 * 64 * 2 + 100 * 2048 + 65536;
    EXPECT_THAT(error.what(), testing::HasSubstr(std::to_string(least)));
  }
  EXPECT_THROW(plan_cache(shape(), {.context_tokens = 64, .checkpoint_every = 100}), Error);
}

}  // namespace
}  // namespace mm
