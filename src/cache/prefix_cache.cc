#include "cache/prefix_cache.h"

#include "base/check.h"

namespace mm {

const char* to_string(ReuseOutcome outcome) {
  switch (outcome) {
    case ReuseOutcome::kReused:
      return "reused";
    case ReuseOutcome::kDisabled:
      return "reuse is off";
    case ReuseOutcome::kEmptyCache:
      return "nothing was cached";
    case ReuseOutcome::kNoCommonPrefix:
      return "no cached prompt begins like this one";
    case ReuseOutcome::kNoCheckpoint:
      return "the common beginning holds no checkpoint";
  }
  return "unknown";
}

PrefixCache::PrefixCache(const Sizes& sizes, const RecomputeCost& cost)
    : pages_(sizes.pages), states_(sizes.states), tree_(sizes.block_tokens, cost) {}

PrefixCache::Reuse PrefixCache::begin_empty(ReuseOutcome why) {
  tree_.lock(PrefixTree::kRoot);
  return {.outcome = why};
}

PrefixCache::Reuse PrefixCache::reuse(std::span<const int32_t> ids) {
  const PrefixTree::Match match = tree_.match(ids);
  Reuse reuse{.node = match.checkpoint,
              .position = tree_.position(match.checkpoint),
              .matched = match.tokens,
              .state = tree_.state(match.checkpoint)};
  if (reuse.position == 0) {
    reuse.outcome = tree_.nodes() == 0                ? ReuseOutcome::kEmptyCache
                    : match.node == PrefixTree::kRoot ? ReuseOutcome::kNoCommonPrefix
                                                      : ReuseOutcome::kNoCheckpoint;
  }
  tree_.touch(reuse.node);
  tree_.lock(reuse.node);
  return reuse;
}

void PrefixCache::take_back(const PrefixTree::Freed& freed) {
  if (freed.page >= 0) {
    pages_.give(freed.page);
    ++evicted_pages_;
  }
  if (freed.state >= 0) {
    states_.give(freed.state);
    ++evicted_states_;
  }
}

bool PrefixCache::evict_leaf() {
  const PrefixTree::Freed freed = tree_.evict_leaf();
  take_back(freed);
  return freed.page >= 0;
}

int32_t PrefixCache::take_page() {
  if (pages_.free() == 0) {
    evict_leaf();
  }
  return pages_.take();
}

PrefixCache::Node PrefixCache::commit(Node node, std::span<const int32_t> tokens, int32_t& page) {
  Node child = tree_.find_child(node, tokens);
  if (child < 0) {
    child = tree_.add_child(node, tokens, page);
  } else {
    if (page >= 0) {
      pages_.give(page);
    }
    page = tree_.page(child);
  }
  tree_.lock_child(child);
  return child;
}

int32_t PrefixCache::add_checkpoint(Node node) {
  if (node == PrefixTree::kRoot || tree_.state(node) >= 0) {
    return -1;
  }
  if (states_.free() == 0) {
    take_back(tree_.evict_state());
  }
  const int32_t slot = states_.take();
  if (slot >= 0) {
    tree_.set_state(node, slot);
  }
  return slot;
}

void PrefixCache::drop(Node node, int64_t blocks) {
  tree_.unlock(node);
  for (; blocks > 0; --blocks) {
    const Node parent = tree_.parent(node);
    take_back(tree_.remove(node));
    node = parent;
  }
}

void PrefixCache::drop_checkpoint(Node node) {
  take_back(tree_.remove_state(node));
}

void PrefixCache::check_integrity(int64_t private_pages) const {
  tree_.check_integrity();
  MM_CHECK(pages_.free() + tree_.nodes() + private_pages == pages_.size(),
           "{} pages free, {} cached and {} private of {}", pages_.free(), tree_.nodes(),
           private_pages, pages_.size());
  MM_CHECK(states_.free() + tree_.states() == states_.size(), "{} states free and {} cached of {}",
           states_.free(), tree_.states(), states_.size());
}

}  // namespace mm
