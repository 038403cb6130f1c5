/// Which tokens fit at a state, found once per state instead of once per token drawn.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/stack_sets.h"
#include "text/grammar/token_trie.h"

namespace mm::grammar {

/// The tokens that may follow at a state, as far as its rule can tell: whoever called the rule.
struct StateTokens {
  /// Tokens that fit whatever the callers: as ids, or, if they are many, as bits by id.
  std::vector<int32_t> ids = {};
  std::vector<uint64_t> bits = {};
  /// Nodes of the trie one byte after a place where the rule may have ended: their tokens fit if
  /// the callers go on so. `outside[b]` to `outside[b + 1]` are those whose byte is b.
  std::vector<uint32_t> nodes = {};
  std::vector<uint32_t> outside = {};  ///< empty if there are none
};

/// All states of an automaton; filled as they are asked for. Threads may share it.
class StateTokenTable {
 public:
  /// Both must outlive this.
  StateTokenTable(const Automaton& automaton, const TokenTrie& trie);
  ~StateTokenTable();

  const StateTokens& at(int32_t state) const;
  /// Fills states, in order, until that has taken `steps` visits of trie nodes.
  void prepare(int64_t steps) const;

 private:
  std::unique_ptr<StateTokens> find(int32_t state, int64_t& steps) const;

  const Automaton& automaton_;
  const TokenTrie& trie_;
  mutable std::mutex mutex_;  ///< for sets_, and for adding to table_
  mutable StackSets sets_;
  mutable std::vector<std::atomic<const StateTokens*>> table_;  ///< by state
};

}  // namespace mm::grammar
