#include "text/grammar/stack_sets.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace mm::grammar {
namespace {

constexpr int kMaxNesting = 10'000;  // of unite(): two megabytes of stack

}  // namespace

StackSets::StackSets(const Automaton& automaton)
    : automaton_(automaton), end_state_(automaton.size()), outside_state_(automaton.size() + 1) {
  add_bottoms();
}

void StackSets::add_bottoms() {
  MM_CHECK(intern({}) == kDead && intern({{end_state_, kDead}}) == kEndSet &&
           intern({{outside_state_, kDead}}) == kOutsideSet);
}

int32_t StackSets::intern(Set set) {
  const auto [at, is_new] = known_.try_emplace(std::move(set), size());
  if (is_new) {
    sets_.push_back(&at->first);
    rows_.emplace_back();
  }
  return at->second;
}

bool StackSets::has_state(int32_t set, int32_t state) const {
  const std::span<const Frame> all = frames(set);
  return std::any_of(all.begin(), all.end(), [&](const Frame& f) { return f.state == state; });
}

int32_t StackSets::unite(int32_t a, int32_t b, int depth) {
  if (a == b || b == kDead) {
    return a;
  }
  if (a == kDead) {
    return b;
  }
  if (depth > kMaxNesting) {
    raise(ErrorKind::kTooLarge, "grammar: the text nests more than {} deep in several ways at once",
          kMaxNesting);
  }
  if (a > b) {
    std::swap(a, b);
  }
  const uint64_t key = static_cast<uint64_t>(a) << 32 | static_cast<uint32_t>(b);
  if (const auto found = united_.find(key); found != united_.end()) {
    return found->second;
  }
  Set result;
  const Set& left = *sets_[static_cast<size_t>(a)];
  const Set& right = *sets_[static_cast<size_t>(b)];
  auto l = left.begin();
  auto r = right.begin();
  while (l != left.end() || r != right.end()) {
    if (r == right.end() || (l != left.end() && l->state < r->state)) {
      result.push_back(*l++);
    } else if (l == left.end() || r->state < l->state) {
      result.push_back(*r++);
    } else {
      result.push_back({l->state, unite(l->callers, r->callers, depth + 1)});
      ++l;
      ++r;
    }
  }
  const int32_t united = intern(std::move(result));
  united_.emplace(key, united);
  return united;
}

/// Adds what is reached and, where a rule may end, what its callers go on with.
void StackSets::return_from_rules(std::span<const Frame> reached, Reached& at) {
  std::vector<Frame> waiting(reached.begin(), reached.end());
  while (!waiting.empty()) {
    const Frame frame = waiting.back();
    waiting.pop_back();
    const auto [known, is_new] = at.try_emplace(frame.state, frame.callers);
    if (!is_new) {
      const int32_t both = unite(known->second, frame.callers);
      if (both == known->second) {
        continue;
      }
      known->second = both;
    }
    if (is_state(frame) && automaton_.accepts(frame.state)) {
      const std::span<const Frame> callers = frames(frame.callers);
      waiting.insert(waiting.end(), callers.begin(), callers.end());
    }
  }
}

/// Adds the starts of all rules that are called. Callers come before callees by rank, so the
/// callers of a rule are complete when its turn comes.
void StackSets::enter_calls(Reached& at) {
  struct Called {
    int32_t rule;
    int32_t callers;
  };
  std::map<int32_t, Called> by_rank;
  const auto add_calls_of = [&](int32_t state, int32_t callers) {
    for (const CallEdge& call : automaton_.call_edges(state)) {
      // A caller that has nothing to do but to end is left out: lists would grow stacks for ever.
      const int32_t returns =
          automaton_.only_ends(call.to) ? callers : intern({{call.to, callers}});
      Called& called =
          by_rank.try_emplace(automaton_.rank(call.rule), Called{call.rule, kDead}).first->second;
      called.callers = unite(called.callers, returns);
    }
  };
  for (const auto& [state, callers] : at) {
    if (state < end_state_) {
      add_calls_of(state, callers);
    }
  }
  while (!by_rank.empty()) {
    const Called called = by_rank.begin()->second;
    by_rank.erase(by_rank.begin());
    const int32_t start = automaton_.start(called.rule);
    at[start] = called.callers;
    add_calls_of(start, called.callers);
  }
}

int32_t StackSets::go_on(std::span<const Frame> reached) {
  Reached at;
  return_from_rules(reached, at);
  enter_calls(at);
  Set result;
  for (const auto& [state, callers] : at) {
    if (state >= end_state_ || !automaton_.byte_edges(state).empty()) {
      result.push_back({state, callers});
    }
  }
  return intern(std::move(result));
}

int32_t StackSets::start() {
  std::vector<Frame> reached = {{automaton_.start(automaton_.root()), kEndSet}};
  if (automaton_.root_may_be_empty()) {
    reached.push_back({end_state_, kDead});
  }
  return go_on(reached);
}

int32_t StackSets::step(int32_t set, uint8_t byte) {
  std::vector<Frame> reached;
  for (const Frame& frame : frames(set)) {
    if (!is_state(frame)) {
      continue;
    }
    const std::span<const ByteEdge> edges = automaton_.byte_edges(frame.state);
    const auto edge =
        std::find_if(edges.begin(), edges.end(), [&](const ByteEdge& e) { return byte <= e.last; });
    if (edge != edges.end() && edge->first <= byte) {
      reached.push_back({edge->to, frame.callers});
    }
  }
  const int32_t result = reached.empty() ? kDead : go_on(reached);
  std::unique_ptr<Row>& row = rows_[static_cast<size_t>(set)];
  if (row == nullptr) {
    row = std::make_unique<Row>();
    row->fill(kUnknown);
  }
  (*row)[byte] = result;
  return result;
}

int32_t StackSets::compact(int32_t set) {
  // What a set is made of has smaller numbers than the set.
  std::vector<bool> kept(sets_.size());
  kept[static_cast<size_t>(set)] = true;
  for (size_t i = static_cast<size_t>(set) + 1; i-- > 0;) {
    if (kept[i]) {
      for (const Frame& frame : *sets_[i]) {
        kept[static_cast<size_t>(frame.callers)] = true;
      }
    }
  }
  const std::map<Set, int32_t> old = std::move(known_);
  const std::vector<const Set*> old_sets = std::move(sets_);
  known_.clear();
  sets_.clear();
  rows_.clear();
  united_.clear();
  add_bottoms();
  std::vector<int32_t> renamed(old_sets.size(), kDead);
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kept[i]) {
      Set copy = *old_sets[i];
      for (Frame& frame : copy) {
        frame.callers = renamed[static_cast<size_t>(frame.callers)];
      }
      renamed[i] = intern(std::move(copy));
    }
  }
  return renamed[static_cast<size_t>(set)];
}

}  // namespace mm::grammar
