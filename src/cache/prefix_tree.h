/// Which token prefixes are in the cache: a tree of blocks of 64 tokens.
///
/// A node is one block after its parent's: its page of keys and values, and perhaps a checkpoint,
/// the recurrent state after its last token. A prefix can be gone on from wherever a checkpoint
/// stands; the tokens behind it up to where a request departs from the tree are replayed.
///
/// Goals: exact (tokens are compared, never only hashes), integers only, every operation but
/// match, lock and unlock in O(log nodes). Non-goals: part blocks (they are replayed), moving data
/// (the caller does what the returned ids say).
///
/// Eviction is GreedyDual-Size: an item's priority is the value of keeping it, recompute cost per
/// byte, on top of the priority of what was evicted last, so that what is not used ages. Source:
/// Cao and Irani, "Cost-aware WWW proxy caching algorithms" (1997).
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mm {

/// What a token costs to compute again, and what its parts take. Any unit, the same throughout.
struct RecomputeCost {
  double per_token = 1;
  double per_token_position = 0;  ///< times the token's position: softmax layers read all before it
  double page_bytes = 1;          ///< of one block in all softmax layers
  double state_bytes = 1;         ///< of one checkpoint in all lightning layers

  /// Tokens [begin, end) of a sequence.
  double of(int64_t begin, int64_t end) const;
};

class PrefixTree {
 public:
  using Node = int32_t;
  static constexpr Node kRoot = 0;  ///< the empty prefix: no page, no checkpoint, never evicted

  PrefixTree(int64_t block_tokens, const RecomputeCost& cost);

  /// The longest prefix of `ids` in the tree.
  struct Match {
    Node node = kRoot;        ///< last whole block
    int64_t tokens = 0;       ///< in common, a part of a block included
    Node checkpoint = kRoot;  ///< last node at or above `node` that has one (or the root)
  };
  Match match(std::span<const int32_t> ids) const;

  /// The child of `parent` with these tokens (one block); -1 if there is none.
  Node find_child(Node parent, std::span<const int32_t> tokens) const;
  /// Adds that child. It must not exist. Its page now belongs to the tree.
  Node add_child(Node parent, std::span<const int32_t> tokens, int32_t page);
  /// Attaches a checkpoint, which now belongs to the tree. The node must have none.
  void set_state(Node node, int32_t slot);

  /// Someone uses `node` and all above it: none of them may be evicted.
  void lock(Node node);
  void unlock(Node node);
  /// Moves a lock from a node to its child: what unlock and lock would do, in O(1).
  void lock_child(Node child);
  /// Raises the priority of a node's checkpoint, because it was used.
  void touch(Node node);

  /// What an eviction gives back; -1 where nothing.
  struct Freed {
    int32_t page = -1;
    int32_t state = -1;
  };
  /// Removes the least valuable unused leaf. Nothing is freed when there is none.
  Freed evict_leaf();
  /// Removes the least valuable checkpoint, of a used node too: users have copied it.
  Freed evict_state();

  /// Removes an unused leaf, or a checkpoint, whatever its value.
  Freed remove(Node leaf);
  Freed remove_state(Node node);

  Node parent(Node node) const { return at(node).parent; }
  int64_t position(Node node) const { return at(node).depth * block_tokens_; }  ///< after its block
  int32_t page(Node node) const { return at(node).page; }
  int32_t state(Node node) const { return at(node).state; }
  /// Pages of the blocks from the start to `node`, appended in order.
  void append_pages(Node node, std::vector<int32_t>& pages) const;

  int64_t nodes() const { return live_; }           ///< the root not counted
  int64_t unused_nodes() const { return unused_; }  ///< those that could be evicted
  int64_t states() const { return static_cast<int64_t>(by_state_.size()); }
  /// Throws kInternal if counts, links or orders contradict each other.
  void check_integrity() const;

 private:
  struct Block {
    Node parent = -1;
    int64_t depth = 0;
    int32_t page = -1;
    int32_t state = -1;
    int64_t users = 0;
    double priority = 0;  // of the leaf and of the checkpoint
    std::vector<Node> children;
    std::vector<int32_t> tokens;
  };
  using Order = std::set<std::pair<double, Node>>;

  const Block& at(Node node) const { return blocks_[static_cast<size_t>(node)]; }
  Block& at(Node node) { return blocks_[static_cast<size_t>(node)]; }
  uint64_t key(Node parent, std::span<const int32_t> tokens) const;
  bool is_leaf(Node node) const { return node != kRoot && at(node).children.empty(); }
  Node checkpoint_above(Node node) const;
  double value(Node node) const;
  void set_priority(Node node, double priority);
  void add_user(Node node);
  void remove_user(Node node);
  void show(Node node);
  void hide(Node node);

  int64_t block_tokens_;
  RecomputeCost cost_;
  double inflation_ = 0;  // priority of what was evicted last
  std::vector<Block> blocks_;
  std::vector<Node> free_;
  std::unordered_multimap<uint64_t, Node> by_tokens_;
  Order leaves_;    // unused leaves
  Order by_state_;  // nodes with a checkpoint
  int64_t live_ = 0;
  int64_t unused_ = 0;
};

}  // namespace mm
