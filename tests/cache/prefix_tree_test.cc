#include "cache/prefix_tree.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

namespace mm {
namespace {

using Node = PrefixTree::Node;
using Tokens = std::vector<int32_t>;

// Blocks of two tokens keep the tables short. A token costs 1, a page 1 byte, a state 10.
PrefixTree small_tree() {
  return PrefixTree(2, {.per_token = 1, .page_bytes = 1, .state_bytes = 10});
}

// Adds what is missing of a path; new pages count up from `page`.
Node add_path(PrefixTree& tree, const Tokens& tokens, int32_t page) {
  Node node = PrefixTree::kRoot;
  for (size_t i = 0; i + 2 <= tokens.size(); i += 2) {
    const std::span<const int32_t> block(tokens.data() + i, 2);
    const Node child = tree.find_child(node, block);
    node = child >= 0 ? child : tree.add_child(node, block, page++);
  }
  tree.check_integrity();
  return node;
}

TEST(PrefixTree, MatchesWholeBlocksAndCountsThePart) {
  PrefixTree tree = small_tree();
  const Node leaf = add_path(tree, {1, 2, 3, 4, 5, 6}, 0);
  tree.set_state(leaf, 7);
  struct Case {
    Tokens ids;
    int64_t tokens;
    bool whole;
  };
  for (const Case& c : {Case{{}, 0, false}, Case{{1}, 1, false}, Case{{2, 1}, 0, false},
                        Case{{1, 2, 3, 4, 5}, 5, false}, Case{{1, 2, 3, 4, 5, 6}, 6, true},
                        Case{{1, 2, 3, 4, 5, 6, 7}, 6, true}, Case{{1, 2, 3, 9, 5, 6}, 3, false}}) {
    const PrefixTree::Match match = tree.match(c.ids);
    EXPECT_EQ(match.tokens, c.tokens);
    EXPECT_EQ(match.checkpoint, c.whole ? leaf : PrefixTree::kRoot);
  }
}

TEST(PrefixTree, TheCheckpointIsTheDeepestOnThePath) {
  PrefixTree tree = small_tree();
  const Node leaf = add_path(tree, {1, 2, 3, 4, 5, 6, 7, 8}, 0);
  const Node second = tree.parent(tree.parent(leaf));
  tree.set_state(second, 3);
  const PrefixTree::Match match = tree.match(Tokens{1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(match.node, leaf);
  EXPECT_EQ(match.checkpoint, second);
  EXPECT_EQ(tree.position(match.checkpoint), 4);
  std::vector<int32_t> pages;
  tree.append_pages(leaf, pages);
  EXPECT_EQ(pages, (std::vector<int32_t>{0, 1, 2, 3}));
}

TEST(PrefixTree, BranchesShareTheirBeginning) {
  PrefixTree tree = small_tree();
  const Node a = add_path(tree, {1, 2, 3, 4}, 0);
  const Node b = add_path(tree, {1, 2, 5, 6}, 10);
  EXPECT_EQ(tree.parent(a), tree.parent(b));
  EXPECT_EQ(tree.nodes(), 3);
  EXPECT_EQ(tree.page(b), 10);
}

TEST(PrefixTree, EvictsWhatNobodyCanGoOnFromFirst) {
  PrefixTree tree = small_tree();
  const Node kept = add_path(tree, {1, 2, 3, 4}, 0);
  tree.set_state(kept, 0);
  add_path(tree, {1, 2, 9, 9}, 5);
  EXPECT_EQ(tree.evict_leaf().page, 5);
  const PrefixTree::Freed freed = tree.evict_leaf();
  EXPECT_EQ(freed.page, 1);
  EXPECT_EQ(freed.state, 0);
  EXPECT_EQ(tree.evict_leaf().page, 0);
  EXPECT_EQ(tree.evict_leaf().page, -1);
  tree.check_integrity();
}

TEST(PrefixTree, EvictsTheCheapestToRecomputePerByte) {
  PrefixTree tree = small_tree();
  const Node shorter = add_path(tree, {1, 2}, 0);
  const Node longer = add_path(tree, {3, 4, 5, 6, 7, 8}, 10);
  tree.set_state(longer, 0);
  tree.set_state(shorter, 1);
  EXPECT_EQ(tree.evict_state().state, 1);
  EXPECT_EQ(tree.evict_state().state, 0);
  EXPECT_EQ(tree.evict_state().state, -1);
}

TEST(PrefixTree, WhatIsUsedStaysAndWhatIsNotAges) {
  PrefixTree tree = small_tree();
  const Node once = add_path(tree, {1, 2, 3, 4}, 0);
  const Node often = add_path(tree, {5, 6, 7, 8}, 10);
  tree.set_state(once, 0);
  tree.set_state(often, 1);
  // Evicting a newcomer, worth half as much, raises the floor that touched nodes start from to
  // where the untouched one stands.
  std::vector<int32_t> evicted;
  for (int32_t i = 0; i < 3; ++i) {
    const Node newcomer = add_path(tree, {100 + i, 101}, 20 + i);
    tree.set_state(newcomer, 2);
    tree.touch(often);
    evicted.push_back(tree.evict_state().state);
    tree.check_integrity();
  }
  EXPECT_EQ(evicted, (std::vector<int32_t>{2, 0, 2}));
}

TEST(PrefixTree, LockedPathsAreNotEvicted) {
  PrefixTree tree = small_tree();
  const Node leaf = add_path(tree, {1, 2, 3, 4}, 0);
  tree.lock(leaf);
  EXPECT_EQ(tree.unused_nodes(), 0);
  EXPECT_EQ(tree.evict_leaf().page, -1);
  const Node child = tree.add_child(leaf, Tokens{5, 6}, 2);
  tree.lock_child(child);
  tree.check_integrity();
  EXPECT_EQ(tree.evict_leaf().page, -1);
  tree.unlock(child);
  EXPECT_EQ(tree.unused_nodes(), 3);
  EXPECT_EQ(tree.evict_leaf().page, 2);
  tree.check_integrity();
}

TEST(PrefixTree, MisuseIsFound) {
  PrefixTree tree = small_tree();
  const Node leaf = add_path(tree, {1, 2}, 0);
  EXPECT_THROW(tree.add_child(PrefixTree::kRoot, Tokens{1, 2}, 3), Error);
  EXPECT_THROW(tree.add_child(PrefixTree::kRoot, Tokens{1}, 3), Error);
  EXPECT_THROW(tree.unlock(leaf), Error);
  EXPECT_THROW(tree.set_state(PrefixTree::kRoot, 0), Error);
  tree.set_state(leaf, 0);
  EXPECT_THROW(tree.set_state(leaf, 1), Error);
}

}  // namespace
}  // namespace mm
