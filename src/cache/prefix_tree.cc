#include "cache/prefix_tree.h"

#include <algorithm>

#include "base/check.h"

namespace mm {

double RecomputeCost::of(int64_t begin, int64_t end) const {
  const double count = static_cast<double>(end - begin);
  return count * (per_token + per_token_position * static_cast<double>(begin + end) / 2);
}

PrefixTree::PrefixTree(int64_t block_tokens, const RecomputeCost& cost)
    : block_tokens_(block_tokens), cost_(cost), blocks_(1) {
  MM_CHECK(block_tokens > 0);
}

// FNV-1a over the parent and the tokens; equal keys are compared token by token.
uint64_t PrefixTree::key(Node parent, std::span<const int32_t> tokens) const {
  constexpr uint64_t kPrime = 1099511628211u;
  uint64_t hash = (14695981039346656037u ^ static_cast<uint32_t>(parent)) * kPrime;
  for (const int32_t token : tokens) {
    hash = (hash ^ static_cast<uint32_t>(token)) * kPrime;
  }
  return hash;
}

PrefixTree::Node PrefixTree::find_child(Node parent, std::span<const int32_t> tokens) const {
  const auto [begin, end] = by_tokens_.equal_range(key(parent, tokens));
  for (auto entry = begin; entry != end; ++entry) {
    const Block& block = at(entry->second);
    if (block.parent == parent &&
        std::equal(tokens.begin(), tokens.end(), block.tokens.begin(), block.tokens.end())) {
      return entry->second;
    }
  }
  return -1;
}

PrefixTree::Match PrefixTree::match(std::span<const int32_t> ids) const {
  Match match;
  const size_t block = static_cast<size_t>(block_tokens_);
  size_t done = 0;
  while (ids.size() - done >= block) {
    const Node child = find_child(match.node, ids.subspan(done, block));
    if (child < 0) {
      break;
    }
    done += block;
    match.node = child;
    if (at(child).state >= 0) {
      match.checkpoint = child;
    }
  }
  const std::span<const int32_t> rest = ids.subspan(done, std::min(block, ids.size() - done));
  size_t part = 0;
  for (const Node child : at(match.node).children) {
    const auto [first, second] = std::mismatch(rest.begin(), rest.end(), at(child).tokens.begin());
    part = std::max(part, static_cast<size_t>(first - rest.begin()));
  }
  match.tokens = static_cast<int64_t>(done + part);
  return match;
}

PrefixTree::Node PrefixTree::add_child(Node parent, std::span<const int32_t> tokens, int32_t page) {
  MM_CHECK(static_cast<int64_t>(tokens.size()) == block_tokens_ && find_child(parent, tokens) < 0);
  Node node = static_cast<Node>(blocks_.size());
  if (free_.empty()) {
    blocks_.emplace_back();
  } else {
    node = free_.back();
    free_.pop_back();
  }
  hide(parent);
  Block& block = at(node);
  block.parent = parent;
  block.depth = at(parent).depth + 1;
  block.page = page;
  block.state = -1;
  block.users = 0;
  block.priority = 0;  // without a checkpoint nobody can go on from it
  block.tokens.assign(tokens.begin(), tokens.end());
  at(parent).children.push_back(node);
  by_tokens_.emplace(key(parent, tokens), node);
  ++live_;
  ++unused_;
  show(node);
  return node;
}

PrefixTree::Node PrefixTree::checkpoint_above(Node node) const {
  do {
    node = at(node).parent;
  } while (node > kRoot && at(node).state < 0);
  return std::max(node, kRoot);
}

// What losing the checkpoint would cost per byte it frees: the tokens since the one above it would
// be replayed. A leaf frees its block's page as well.
double PrefixTree::value(Node node) const {
  const double bytes = cost_.state_bytes + (is_leaf(node) ? cost_.page_bytes : 0);
  return cost_.of(position(checkpoint_above(node)), position(node)) / std::max(bytes, 1.0);
}

void PrefixTree::set_priority(Node node, double priority) {
  hide(node);
  Block& block = at(node);
  if (block.state >= 0) {
    by_state_.erase({block.priority, node});
    by_state_.insert({priority, node});
  }
  block.priority = priority;
  show(node);
}

void PrefixTree::set_state(Node node, int32_t slot) {
  MM_CHECK(node != kRoot && at(node).state < 0 && slot >= 0);
  at(node).state = slot;
  by_state_.insert({at(node).priority, node});
  touch(node);
}

void PrefixTree::touch(Node node) {
  if (node != kRoot && at(node).state >= 0) {
    set_priority(node, inflation_ + value(node));
  }
}

// An unused leaf stands in leaves_; whoever changes users, children or priority hides it first.
void PrefixTree::show(Node node) {
  if (is_leaf(node) && at(node).users == 0) {
    leaves_.insert({at(node).priority, node});
  }
}

void PrefixTree::hide(Node node) {
  if (is_leaf(node) && at(node).users == 0) {
    leaves_.erase({at(node).priority, node});
  }
}

void PrefixTree::add_user(Node node) {
  hide(node);
  unused_ -= at(node).users == 0 && node != kRoot ? 1 : 0;
  ++at(node).users;
}

void PrefixTree::remove_user(Node node) {
  MM_CHECK(at(node).users > 0, "node {} is not locked", node);
  --at(node).users;
  unused_ += at(node).users == 0 && node != kRoot ? 1 : 0;
  show(node);
}

void PrefixTree::lock(Node node) {
  for (; node >= kRoot; node = at(node).parent) {
    add_user(node);
  }
}

void PrefixTree::unlock(Node node) {
  for (; node >= kRoot; node = at(node).parent) {
    remove_user(node);
  }
}

void PrefixTree::lock_child(Node child) {
  MM_CHECK(at(at(child).parent).users > 0, "the parent of node {} is not locked", child);
  add_user(child);
}

PrefixTree::Freed PrefixTree::remove(Node leaf) {
  MM_CHECK(is_leaf(leaf) && at(leaf).users == 0, "node {} is in use", leaf);
  hide(leaf);
  Block& block = at(leaf);
  const Freed freed{.page = block.page, .state = block.state};
  if (freed.state >= 0) {
    by_state_.erase({block.priority, leaf});
  }
  const auto [begin, end] = by_tokens_.equal_range(key(block.parent, block.tokens));
  by_tokens_.erase(std::find_if(begin, end, [&](const auto& e) { return e.second == leaf; }));
  std::vector<Node>& siblings = at(block.parent).children;
  siblings.erase(std::find(siblings.begin(), siblings.end(), leaf));
  show(block.parent);
  block = Block();
  free_.push_back(leaf);
  --live_;
  --unused_;
  return freed;
}

PrefixTree::Freed PrefixTree::remove_state(Node node) {
  by_state_.erase({at(node).priority, node});
  const Freed freed{.page = -1, .state = at(node).state};
  at(node).state = -1;
  set_priority(node, 0);
  return freed;
}

PrefixTree::Freed PrefixTree::evict_leaf() {
  if (leaves_.empty()) {
    return {};
  }
  const auto [priority, node] = *leaves_.begin();
  inflation_ = std::max(inflation_, priority);
  return remove(node);
}

PrefixTree::Freed PrefixTree::evict_state() {
  if (by_state_.empty()) {
    return {};
  }
  const auto [priority, node] = *by_state_.begin();
  inflation_ = std::max(inflation_, priority);
  return remove_state(node);
}

void PrefixTree::append_pages(Node node, std::vector<int32_t>& pages) const {
  const size_t begin = pages.size();
  pages.resize(begin + static_cast<size_t>(at(node).depth));
  for (; node != kRoot; node = at(node).parent) {
    pages[begin + static_cast<size_t>(at(node).depth) - 1] = at(node).page;
  }
}

void PrefixTree::check_integrity() const {
  int64_t live = 0;
  int64_t unused = 0;
  size_t leaves = 0;
  size_t states = 0;
  for (Node node = 1; node < static_cast<Node>(blocks_.size()); ++node) {
    const Block& block = at(node);
    if (block.parent < 0) {
      continue;
    }
    ++live;
    unused += block.users == 0 ? 1 : 0;
    states += block.state >= 0 ? 1 : 0;
    int64_t child_users = 0;
    for (const Node child : block.children) {
      MM_CHECK(at(child).parent == node && at(child).depth == block.depth + 1);
      child_users += at(child).users;
    }
    MM_CHECK(block.users >= child_users, "node {} has {} users, its children {}", node, block.users,
             child_users);
    MM_CHECK(find_child(block.parent, block.tokens) == node && block.page >= 0);
    const bool evictable = block.children.empty() && block.users == 0;
    leaves += evictable ? 1 : 0;
    MM_CHECK(leaves_.count({block.priority, node}) == (evictable ? 1u : 0u));
    MM_CHECK(by_state_.count({block.priority, node}) == (block.state >= 0 ? 1u : 0u));
  }
  MM_CHECK(live == live_ && unused == unused_, "{} nodes, {} unused; counted {} and {}", live_,
           unused_, live, unused);
  MM_CHECK(leaves == leaves_.size() && states == by_state_.size());
}

}  // namespace mm
