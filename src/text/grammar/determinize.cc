#include "text/grammar/determinize.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace mm::grammar {
namespace {

/// States of the Nfa in all subsets of one grammar: 160 MB.
constexpr size_t kMaxListed = 20'000'000;

}  // namespace

Determinizer::Subset Determinizer::close(Subset states) {
  Subset closed;
  while (!states.empty()) {
    const int32_t state = states.back();
    states.pop_back();
    if (!marks_[static_cast<size_t>(state)]) {
      marks_[static_cast<size_t>(state)] = true;
      closed.push_back(state);
      const auto& skips = nfa_->states[static_cast<size_t>(state)].skips;
      states.insert(states.end(), skips.begin(), skips.end());
    }
  }
  for (const int32_t state : closed) {
    marks_[static_cast<size_t>(state)] = false;
  }
  // States that only skip tell nothing that their closure does not.
  const auto says_nothing = [&](int32_t state) {
    const NfaState& s = nfa_->states[static_cast<size_t>(state)];
    return state != nfa_->end && s.bytes.empty() && s.calls.empty();
  };
  closed.erase(std::remove_if(closed.begin(), closed.end(), says_nothing), closed.end());
  std::sort(closed.begin(), closed.end());
  return closed;
}

int32_t Determinizer::state_of(Subset subset) {
  const auto [at, is_new] = known_.try_emplace(std::move(subset), automaton_.size());
  if (is_new) {
    if (automaton_.states_.size() >= Automaton::kMaxStates) {
      raise(ErrorKind::kTooLarge,
            "grammar: rule \"{}\" takes it over {} states; use smaller repetition counts or "
            "lengths",
            rule_->name, Automaton::kMaxStates);
    }
    listed_ += at->first.size();
    if (listed_ > kMaxListed) {
      raise(ErrorKind::kTooLarge,
            "grammar: rule \"{}\" is too ambiguous: its states take over {} entries; nest fewer "
            "repetitions of what can be read in several ways",
            rule_->name, kMaxListed);
    }
    automaton_.states_.emplace_back();
    automaton_.states_.back().accepts =
        std::binary_search(at->first.begin(), at->first.end(), nfa_->end);
    waiting_.push_back(at->first);
  }
  return at->second;
}

void Determinizer::add_byte_edges(int32_t state, const Subset& subset) {
  // Between two neighbouring limits all bytes lead to the same states.
  std::vector<ByteEdge> edges;
  std::vector<int> limits;
  for (const int32_t s : subset) {
    for (const ByteEdge& edge : nfa_->states[static_cast<size_t>(s)].bytes) {
      edges.push_back(edge);
      limits.push_back(edge.first);
      limits.push_back(edge.last + 1);
    }
  }
  std::sort(limits.begin(), limits.end());
  limits.erase(std::unique(limits.begin(), limits.end()), limits.end());
  std::vector<ByteEdge> result;
  for (size_t i = 0; i + 1 < limits.size(); ++i) {
    Subset targets;
    for (const ByteEdge& edge : edges) {
      if (edge.first <= limits[i] && limits[i] <= edge.last) {
        targets.push_back(edge.to);
      }
    }
    if (targets.empty()) {
      continue;
    }
    const ByteEdge edge = {static_cast<uint8_t>(limits[i]), static_cast<uint8_t>(limits[i + 1] - 1),
                           state_of(close(std::move(targets)))};
    if (!result.empty() && result.back().to == edge.to && result.back().last + 1 == edge.first) {
      result.back().last = edge.last;
    } else {
      result.push_back(edge);
    }
  }
  automaton_.states_[static_cast<size_t>(state)].bytes = std::move(result);
}

void Determinizer::add_call_edges(int32_t state, const Subset& subset) {
  std::map<int32_t, Subset> targets;
  for (const int32_t s : subset) {
    for (const CallEdge& edge : nfa_->states[static_cast<size_t>(s)].calls) {
      targets[edge.rule].push_back(edge.to);
    }
  }
  std::vector<CallEdge> result;
  for (auto& [rule, to] : targets) {
    result.push_back({rule, state_of(close(std::move(to)))});
  }
  automaton_.states_[static_cast<size_t>(state)].calls = std::move(result);
}

int32_t Determinizer::add(const Nfa& nfa, const Rule& rule) {
  nfa_ = &nfa;
  rule_ = &rule;
  known_.clear();
  marks_.assign(nfa.states.size(), false);
  const int32_t start = automaton_.size();
  automaton_.states_.emplace_back();  // not in known_: nothing may lead back to it
  waiting_ = {close({0})};
  for (size_t i = 0; i < waiting_.size(); ++i) {
    const Subset subset = std::move(waiting_[i]);
    const int32_t state = start + static_cast<int32_t>(i);
    add_byte_edges(state, subset);
    add_call_edges(state, subset);
  }
  return start;
}

}  // namespace mm::grammar
