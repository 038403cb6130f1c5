#include "cache/prefix_cache.h"

#include <gtest/gtest.h>

#include <vector>

namespace mm {
namespace {

using Tokens = std::vector<int32_t>;
using Node = PrefixCache::Node;

PrefixCache small_cache(int64_t pages, int64_t states) {
  return PrefixCache({pages, states, 2}, {.per_token = 1, .page_bytes = 1, .state_bytes = 10});
}

// A sequence that computes `tokens` from nothing and leaves a checkpoint at its end.
void leave(PrefixCache& cache, const Tokens& tokens) {
  Node node = cache.begin_empty(ReuseOutcome::kDisabled).node;
  for (size_t i = 0; i + 2 <= tokens.size(); i += 2) {
    int32_t page = cache.take_page();
    ASSERT_GE(page, 0);
    node = cache.commit(node, {tokens.data() + i, 2}, page);
  }
  cache.add_checkpoint(node);
  cache.release(node);
  cache.check_integrity(0);
}

TEST(PrefixCache, SaysWhyNothingIsReused) {
  PrefixCache cache = small_cache(8, 1);
  const auto outcome = [&](const Tokens& ids) {
    const PrefixCache::Reuse reuse = cache.reuse(ids);
    cache.release(reuse.node);
    return reuse.outcome;
  };
  EXPECT_EQ(outcome({1, 2, 3, 4}), ReuseOutcome::kEmptyCache);
  leave(cache, {1, 2, 3, 4});
  EXPECT_EQ(outcome({1, 2, 3, 4, 5}), ReuseOutcome::kReused);
  EXPECT_EQ(outcome({2, 2, 3, 4}), ReuseOutcome::kNoCommonPrefix);
  EXPECT_EQ(outcome({1, 2, 9, 9}), ReuseOutcome::kNoCheckpoint);
}

TEST(PrefixCache, TheSameBlockTwiceIsKeptOnce) {
  PrefixCache cache = small_cache(4, 2);
  leave(cache, {1, 2});
  const PrefixCache::Reuse root = cache.begin_empty(ReuseOutcome::kDisabled);
  int32_t page = cache.take_page();
  const int32_t mine = page;
  const Node node = cache.commit(root.node, Tokens{1, 2}, page);
  EXPECT_NE(page, mine);
  EXPECT_EQ(cache.tree().nodes(), 1);
  cache.release(node);
  cache.check_integrity(0);
}

TEST(PrefixCache, EvictsForPagesAndForCheckpoints) {
  PrefixCache cache = small_cache(4, 1);
  leave(cache, {1, 2, 3, 4});
  leave(cache, {5, 6, 7, 8});
  EXPECT_EQ(cache.evicted_states(), 1);
  EXPECT_EQ(cache.available_pages(), 4);
  leave(cache, {9, 10});
  EXPECT_GE(cache.evicted_pages(), 1);
  // All in use: nothing to give.
  std::vector<int32_t> pages;
  for (int32_t page = cache.take_page(); page >= 0; page = cache.take_page()) {
    pages.push_back(page);
  }
  EXPECT_EQ(pages.size(), 4u);
  cache.check_integrity(4);
}

TEST(PrefixCache, DroppedBlocksLeaveNoTrace) {
  PrefixCache cache = small_cache(4, 2);
  leave(cache, {1, 2});
  Node node = cache.begin_empty(ReuseOutcome::kDisabled).node;
  int32_t page = -1;
  node = cache.commit(node, Tokens{1, 2}, page);
  page = cache.take_page();
  node = cache.commit(node, Tokens{3, 4}, page);
  cache.add_checkpoint(node);
  cache.drop(node, 1);
  cache.check_integrity(0);
  EXPECT_EQ(cache.tree().nodes(), 1);
  EXPECT_EQ(cache.free_states(), 1);
}

TEST(PrefixCache, WorksWithoutCheckpoints) {
  PrefixCache cache = small_cache(2, 0);
  leave(cache, {1, 2});
  const PrefixCache::Reuse reuse = cache.reuse(Tokens{1, 2, 3});
  EXPECT_EQ(reuse.outcome, ReuseOutcome::kNoCheckpoint);
  EXPECT_EQ(reuse.position, 0);
}

}  // namespace
}  // namespace mm
