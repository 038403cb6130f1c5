/// Where a text stands in a grammar: all ways at once in which it can be read so far.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "text/grammar/automaton.h"

namespace mm::grammar {

/// A state, and what is waiting for its rule to end: a set of stacks.
struct Frame {
  int32_t state = 0;
  int32_t callers = 0;  ///< a set of StackSets

  friend bool operator<(const Frame& a, const Frame& b) {
    return a.state != b.state ? a.state < b.state : a.callers < b.callers;
  }
};

/// Sets of stacks of an Automaton, each set kept once and named by a number.
///
/// A set is a list of frames, one a state: what may wait for the same state is united, so that a
/// set is never larger than the automaton, however ambiguous the grammar. Two sets serve as bottoms
/// of stacks: `end()`, reached when the root has been read, and `outside()`, reached when a rule
/// has ended whose callers are not known.
///
/// Steps are remembered: after the first time a step is one lookup. One thread at a time.
class StackSets {
 public:
  explicit StackSets(const Automaton& automaton);

  static constexpr int32_t kDead = 0;  ///< the empty set
  int32_t end() const { return kEndSet; }
  int32_t outside() const { return kOutsideSet; }

  /// Where the root begins.
  int32_t start();
  /// The state alone, without what it calls; only its own bytes can follow.
  int32_t only(int32_t state, int32_t callers) { return intern({{state, callers}}); }
  /// Where readings go on that have just come to the states of these frames: ended rules have
  /// returned, calls are entered.
  int32_t go_on(std::span<const Frame> reached);
  /// After one more byte; kDead if it cannot follow. Throws kTooLarge when readings that differ in
  /// how deep they are nest more than 10,000 deep.
  int32_t next(int32_t set, uint8_t byte) {
    const Row* row = rows_[static_cast<size_t>(set)].get();
    const int32_t known = row == nullptr ? kUnknown : (*row)[byte];
    return known != kUnknown ? known : step(set, byte);
  }

  std::span<const Frame> frames(int32_t set) const { return *sets_[static_cast<size_t>(set)]; }
  /// Whether the root may have been read.
  bool may_end(int32_t set) const { return has_state(set, end_state_); }
  /// Whether the rule that was begun outside may have ended.
  bool may_be_outside(int32_t set) const { return has_state(set, outside_state_); }
  /// Whether a frame is of a state, not one of the bottoms.
  bool is_state(const Frame& frame) const { return frame.state < end_state_; }

  int32_t size() const { return static_cast<int32_t>(sets_.size()); }
  /// Forgets every set but `set` and what it is made of; returns its new number.
  int32_t compact(int32_t set);

 private:
  using Row = std::array<int32_t, 256>;
  using Set = std::vector<Frame>;  ///< ascending by state
  static constexpr int32_t kUnknown = -1;
  static constexpr int32_t kEndSet = 1;
  static constexpr int32_t kOutsideSet = 2;

  void add_bottoms();
  int32_t intern(Set set);
  int32_t unite(int32_t a, int32_t b, int depth = 0);
  bool has_state(int32_t set, int32_t state) const;
  int32_t step(int32_t set, uint8_t byte);

  /// Frames in the making, by state.
  using Reached = std::map<int32_t, int32_t>;
  void return_from_rules(std::span<const Frame> reached, Reached& at);
  void enter_calls(Reached& at);

  const Automaton& automaton_;
  int32_t end_state_;  ///< stands for no state of the automaton; nor does the next one
  int32_t outside_state_;
  std::map<Set, int32_t> known_;
  std::vector<const Set*> sets_;  ///< keys of known_
  std::vector<std::unique_ptr<Row>> rows_;
  std::unordered_map<uint64_t, int32_t> united_;  ///< by both numbers
};

}  // namespace mm::grammar
