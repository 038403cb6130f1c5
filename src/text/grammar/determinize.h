/// From the nondeterministic automaton of a rule to states of an Automaton.
#pragma once

#include <map>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/nfa.h"

namespace mm::grammar {

/// Appends the deterministic states of one rule after another by the subset construction, in which
/// a call of a rule is a symbol like a byte.
class Determinizer {
 public:
  explicit Determinizer(Automaton& automaton) : automaton_(automaton) {}

  /// Returns the rule's start. Throws kTooLarge, naming the rule, over Automaton::kMaxStates.
  int32_t add(const Nfa& nfa, const Rule& rule);

 private:
  using Subset = std::vector<int32_t>;  ///< ascending, closed under skips

  Subset close(Subset states);
  int32_t state_of(Subset subset);
  void add_byte_edges(int32_t state, const Subset& subset);
  void add_call_edges(int32_t state, const Subset& subset);

  Automaton& automaton_;
  const Nfa* nfa_ = nullptr;
  const Rule* rule_ = nullptr;
  std::map<Subset, int32_t> known_;
  std::vector<Subset> waiting_;  ///< subsets of the states from the rule's start on
  size_t listed_ = 0;            ///< size of all subsets so far
  std::vector<bool> marks_;      ///< by state of the Nfa
};

}  // namespace mm::grammar
