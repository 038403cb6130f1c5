/// Pages, checkpoints and the tree that says what they hold, kept within their numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/id_pool.h"
#include "cache/prefix_tree.h"

namespace mm {

/// What a sequence could take over from the cache, or why nothing.
enum class ReuseOutcome : uint8_t {
  kReused,
  kDisabled,        ///< reuse is switched off
  kEmptyCache,      ///< nothing is cached yet
  kNoCommonPrefix,  ///< the first block differs from everything cached
  kNoCheckpoint,    ///< a prefix is cached, but no state to go on from is left in it
};
/// "reused", "reuse is off", …: the end of a sentence.
const char* to_string(ReuseOutcome outcome);

/// Gives out pages and checkpoint slots, and evicts what is worth least when they run out.
///
/// Every page is free, or private to a sequence, or of one tree node; every checkpoint slot is free
/// or of one node. Integers only: whoever calls moves the data.
class PrefixCache {
 public:
  using Node = PrefixTree::Node;

  struct Sizes {
    int64_t pages = 0;
    int64_t states = 0;
    int64_t block_tokens = 64;
  };
  PrefixCache(const Sizes& sizes, const RecomputeCost& cost);

  /// Where a sequence may begin.
  struct Reuse {
    Node node = PrefixTree::kRoot;  ///< locked; its prefix's pages and state may be used
    int64_t position = 0;           ///< tokens that need no computing
    int64_t matched = 0;            ///< tokens in common with the cache, ≥ position
    int32_t state = -1;             ///< slot to copy the state from; -1: begin with zeros
    ReuseOutcome outcome = ReuseOutcome::kReused;
  };
  /// The last checkpoint inside the longest common prefix of `ids` and the cache.
  Reuse reuse(std::span<const int32_t> ids);
  /// The same for nothing in common: locks the root.
  Reuse begin_empty(ReuseOutcome why);

  /// A private page, evicting if none is free; -1 if all are in use.
  int32_t take_page();
  void give_page(int32_t page) { pages_.give(page); }
  /// Pages that take_page() could give out.
  int64_t available_pages() const { return pages_.free() + tree_.unused_nodes(); }

  /// The block after `node` is whole: it enters the tree and the lock moves to it. `page` (private)
  /// becomes the tree's; if the block was there already it is given back (unless it is -1) and
  /// replaced by the tree's, whose content is the same.
  Node commit(Node node, std::span<const int32_t> tokens, int32_t& page);
  /// A slot for the state at `node`, evicting if none is free. -1: it has one already, or there are
  /// none at all. The caller copies the state there.
  int32_t add_checkpoint(Node node);
  void release(Node node) { tree_.unlock(node); }
  /// Releases `node` and removes the last `blocks` of its path, which nobody else may use: their
  /// content never came to be.
  void drop(Node node, int64_t blocks);
  /// Likewise for the checkpoint of `node` alone; the lock stays.
  void drop_checkpoint(Node node);

  const PrefixTree& tree() const { return tree_; }
  int64_t free_pages() const { return pages_.free(); }
  int64_t total_pages() const { return pages_.size(); }
  int64_t free_states() const { return states_.free(); }
  int64_t total_states() const { return states_.size(); }
  int64_t evicted_pages() const { return evicted_pages_; }
  int64_t evicted_states() const { return evicted_states_; }
  /// Throws kInternal unless free + cached + `private_pages` pages are all there are, likewise
  /// states, and the tree agrees with itself.
  void check_integrity(int64_t private_pages) const;

 private:
  bool evict_leaf();
  void take_back(const PrefixTree::Freed& freed);

  IdPool pages_;
  IdPool states_;
  PrefixTree tree_;
  int64_t evicted_pages_ = 0;
  int64_t evicted_states_ = 0;
};

}  // namespace mm
