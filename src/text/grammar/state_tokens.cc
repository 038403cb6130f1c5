#include "text/grammar/state_tokens.h"

#include <algorithm>

#include "text/grammar/trie_walk.h"

namespace mm::grammar {
namespace {

/// Sets of stacks kept from one state to the next: about a kilobyte each.
constexpr int32_t kMaxSets = 16'384;

/// More ids than this take more time to set one by one than all bits together: a bit of the whole
/// vocabulary costs a 64th of a word.
size_t most_ids(const TokenTrie& trie) {
  return static_cast<size_t>(trie.vocab_size()) / 64;
}

void to_bits(StateTokens& tokens, const TokenTrie& trie) {
  tokens.bits.resize((static_cast<size_t>(trie.vocab_size()) + 63) / 64);
  for (const int32_t id : tokens.ids) {
    tokens.bits[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  }
  tokens.ids.clear();
}

/// Sorts nodes by their byte, and says where each byte's begin.
void group_by_byte(StateTokens& tokens, const TokenTrie& trie) {
  const auto byte_of = [&](uint32_t node) { return trie.nodes()[node].byte; };
  std::stable_sort(tokens.nodes.begin(), tokens.nodes.end(),
                   [&](uint32_t a, uint32_t b) { return byte_of(a) < byte_of(b); });
  tokens.outside.assign(257, 0);
  for (const uint32_t node : tokens.nodes) {
    ++tokens.outside[size_t{byte_of(node)} + 1];
  }
  for (size_t byte = 0; byte < 256; ++byte) {
    tokens.outside[byte + 1] += tokens.outside[byte];
  }
}

}  // namespace

StateTokenTable::StateTokenTable(const Automaton& automaton, const TokenTrie& trie)
    : automaton_(automaton),
      trie_(trie),
      sets_(automaton),
      table_(static_cast<size_t>(automaton.size())) {}

StateTokenTable::~StateTokenTable() {
  for (const auto& tokens : table_) {
    delete tokens.load();
  }
}

std::unique_ptr<StateTokens> StateTokenTable::find(int32_t state, int64_t& steps) const {
  auto found = std::make_unique<StateTokens>();
  std::vector<int32_t> places;
  const auto visit = [&](uint32_t node, int32_t set) {
    const std::span<const int32_t> ids = trie_.tokens(node);
    found->ids.insert(found->ids.end(), ids.begin(), ids.end());
    if (sets_.may_be_outside(set)) {
      const std::span<const TokenTrie::Node> nodes = trie_.nodes();
      for (uint32_t child = node + 1; child < nodes[node].skip; child = nodes[child].skip) {
        found->nodes.push_back(child);
      }
    }
  };
  steps += walk_below(trie_, 0, sets_, sets_.only(state, sets_.outside()), places, visit);
  if (found->ids.size() > most_ids(trie_)) {
    to_bits(*found, trie_);
  }
  if (!found->nodes.empty()) {
    group_by_byte(*found, trie_);
  }
  if (sets_.size() > kMaxSets) {
    sets_.compact(sets_.outside());
  }
  found->ids.shrink_to_fit();
  found->nodes.shrink_to_fit();
  return found;
}

const StateTokens& StateTokenTable::at(int32_t state) const {
  std::atomic<const StateTokens*>& entry = table_[static_cast<size_t>(state)];
  if (const StateTokens* known = entry.load(std::memory_order_acquire)) {
    return *known;
  }
  const std::lock_guard lock(mutex_);
  const StateTokens* known = entry.load(std::memory_order_relaxed);
  if (known == nullptr) {
    int64_t steps = 0;
    known = find(state, steps).release();
    entry.store(known, std::memory_order_release);
  }
  return *known;
}

void StateTokenTable::prepare(int64_t steps) const {
  const std::lock_guard lock(mutex_);
  int64_t taken = 0;
  for (int32_t state = 0; state < automaton_.size() && taken < steps; ++state) {
    std::atomic<const StateTokens*>& entry = table_[static_cast<size_t>(state)];
    const bool reads = !automaton_.byte_edges(state).empty();
    if (reads && entry.load(std::memory_order_relaxed) == nullptr) {
      entry.store(find(state, taken).release(), std::memory_order_release);
    }
  }
}

}  // namespace mm::grammar
