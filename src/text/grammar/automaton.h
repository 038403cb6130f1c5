/// A grammar as one deterministic automaton over bytes per rule, which call one another.
///
/// Goals: whatever can be begun can be finished: states and edges from which no text of the grammar
/// can be completed do not exist; time and memory linear in what the grammar spells out.
/// Non-goals: left recursion (refused by name; a list is written with the repeated part last).
#pragma once

#include <bitset>
#include <cstdint>
#include <span>
#include <vector>

#include "text/grammar/expression.h"

namespace mm::grammar {

/// Bytes that can be written at all, by value.
using ByteSet = std::bitset<256>;

/// Reads one byte of [first, last] and goes on at `to`.
struct ByteEdge {
  uint8_t first = 0;
  uint8_t last = 0;
  int32_t to = 0;
};

/// Derives a text of `rule`, not the empty one, and goes on at `to`.
struct CallEdge {
  int32_t rule = 0;
  int32_t to = 0;
};

/// States are numbered over all rules; those of one rule never lead into another's.
class Automaton {
 public:
  /// Only bytes of `usable` are ever read.
  /// Throws kBadInput when a rule is left-recursive or the root derives no text, kTooLarge when
  /// the grammar has more than kMaxStates states.
  Automaton(const RuleSet& rules, const ByteSet& usable);

  static constexpr size_t kMaxStates = 100'000;

  int32_t size() const { return static_cast<int32_t>(states_.size()); }
  /// Edges by byte: ascending and disjoint.
  std::span<const ByteEdge> byte_edges(int32_t state) const;
  std::span<const CallEdge> call_edges(int32_t state) const;
  /// Whether a text of the rule may end here.
  bool accepts(int32_t state) const { return states_[static_cast<size_t>(state)].accepts; }
  /// Whether nothing but the end of the rule can follow.
  bool only_ends(int32_t state) const;

  /// Where a rule begins: no edge leads here and it does not accept, so that calls never derive the
  /// empty text; where a rule derives it, callers go on without a call.
  int32_t start(int32_t rule) const { return starts_[static_cast<size_t>(rule)]; }
  int32_t root() const { return root_; }
  /// Whether the root derives the empty text.
  bool root_may_be_empty() const { return root_may_be_empty_; }

  int32_t rule_count() const { return static_cast<int32_t>(starts_.size()); }
  /// Place of a rule in an order in which a rule comes before those that its start calls.
  int32_t rank(int32_t rule) const { return ranks_[static_cast<size_t>(rule)]; }

 private:
  friend class Determinizer;
  struct State {
    std::vector<ByteEdge> bytes;
    std::vector<CallEdge> calls;
    bool accepts = false;
  };

  std::vector<bool> find_ending() const;
  void trim();
  void rank_rules(const RuleSet& rules);

  std::vector<State> states_;
  std::vector<int32_t> starts_;  ///< by rule
  std::vector<int32_t> ranks_;   ///< by rule
  int32_t root_ = 0;
  bool root_may_be_empty_ = false;
};

}  // namespace mm::grammar
