/// One rule as a nondeterministic automaton: the step between an expression and an Automaton.
#pragma once

#include <cstdint>
#include <vector>

#include "text/grammar/automaton.h"

namespace mm::grammar {

struct NfaState {
  std::vector<int32_t> skips = {};  ///< states reached without reading
  std::vector<ByteEdge> bytes = {};
  std::vector<CallEdge> calls = {};
};

/// Begins at state 0 and ends at `end`.
struct Nfa {
  std::vector<NfaState> states;
  int32_t end = 0;
};

/// The texts of one rule, of which calls derive no empty text yet. Only bytes of `usable` are read.
/// Throws kTooLarge when it would have more than `max_states` states.
Nfa make_nfa(const Rule& rule, const ByteSet& usable, size_t max_states);

/// Lets calls of rules that derive the empty text be skipped; returns which rules those are.
/// `nfas`: by rule.
std::vector<bool> add_empty_calls(std::vector<Nfa>& nfas);

}  // namespace mm::grammar
