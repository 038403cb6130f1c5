#include "text/grammar/automaton.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "text/grammar/determinize.h"
#include "text/grammar/nfa.h"

namespace mm::grammar {

std::span<const ByteEdge> Automaton::byte_edges(int32_t state) const {
  return states_[static_cast<size_t>(state)].bytes;
}

std::span<const CallEdge> Automaton::call_edges(int32_t state) const {
  return states_[static_cast<size_t>(state)].calls;
}

bool Automaton::only_ends(int32_t state) const {
  const State& s = states_[static_cast<size_t>(state)];
  return s.accepts && s.bytes.empty() && s.calls.empty();
}

Automaton::Automaton(const RuleSet& rules, const ByteSet& usable) : root_(rules.root) {
  // A state of the result stands for at least one of these, of which few others are left out.
  size_t left = 16 * kMaxStates;
  std::vector<Nfa> nfas;
  for (const Rule& rule : rules.rules) {
    nfas.push_back(make_nfa(rule, usable, left));
    left -= nfas.back().states.size();
  }
  const std::vector<bool> empty = add_empty_calls(nfas);
  root_may_be_empty_ = empty[static_cast<size_t>(root_)];
  Determinizer determinizer(*this);
  for (size_t i = 0; i < nfas.size(); ++i) {
    starts_.push_back(determinizer.add(nfas[i], rules.rules[i]));
  }
  trim();
  const State& start = states_[static_cast<size_t>(starts_[static_cast<size_t>(root_)])];
  if (start.bytes.empty() && start.calls.empty() && !root_may_be_empty_) {
    bad_input("grammar: rule \"{}\" derives no text that ever ends",
              rules.rules[static_cast<size_t>(root_)].name);
  }
  rank_rules(rules);
}

/// For every state whether the end of its rule can be reached: from accepting states backwards,
/// each edge once. A call leads on when its target and its rule's start do.
std::vector<bool> Automaton::find_ending() const {
  struct Edge {
    int32_t from;
    int32_t other;  // what must end besides; -1: nothing
  };
  std::vector<std::vector<Edge>> into(states_.size());
  std::vector<int32_t> work;
  for (int32_t i = 0; i < size(); ++i) {
    const State& s = states_[static_cast<size_t>(i)];
    for (const ByteEdge& edge : s.bytes) {
      into[static_cast<size_t>(edge.to)].push_back({i, -1});
    }
    for (const CallEdge& call : s.calls) {
      into[static_cast<size_t>(call.to)].push_back({i, start(call.rule)});
      into[static_cast<size_t>(start(call.rule))].push_back({i, call.to});
    }
    if (s.accepts) {
      work.push_back(i);
    }
  }
  std::vector<bool> ends(states_.size());
  while (!work.empty()) {
    const auto state = static_cast<size_t>(work.back());
    work.pop_back();
    if (ends[state]) {
      continue;
    }
    ends[state] = true;
    for (const Edge& edge : into[state]) {
      if (edge.other < 0 || ends[static_cast<size_t>(edge.other)]) {
        work.push_back(edge.from);
      }
    }
  }
  return ends;
}

/// Drops edges to states from which the rule's end cannot be reached, and calls of rules without
/// texts.
void Automaton::trim() {
  const std::vector<bool> ends = find_ending();
  for (State& s : states_) {
    s.bytes.erase(
        std::remove_if(s.bytes.begin(), s.bytes.end(),
                       [&](const ByteEdge& edge) { return !ends[static_cast<size_t>(edge.to)]; }),
        s.bytes.end());
    s.calls.erase(std::remove_if(s.calls.begin(), s.calls.end(),
                                 [&](const CallEdge& call) {
                                   return !ends[static_cast<size_t>(call.to)] ||
                                          !ends[static_cast<size_t>(start(call.rule))];
                                 }),
                  s.calls.end());
  }
}

/// Depth first over the calls of starts: a rule is ranked when all it calls are.
void Automaton::rank_rules(const RuleSet& rules) {
  constexpr int32_t kOpen = -1;
  constexpr int32_t kUnseen = -2;
  ranks_.assign(starts_.size(), kUnseen);
  int32_t next = rule_count();
  struct Visit {
    int32_t rule;
    size_t edge;
  };
  for (int32_t first = 0; first < rule_count(); ++first) {
    std::vector<Visit> path;
    const auto enter = [&](int32_t rule) {
      int32_t& rank = ranks_[static_cast<size_t>(rule)];
      if (rank == kOpen) {
        bad_input(
            "grammar: rule \"{}\" begins with itself (left recursion); write the repetition as "
            "( ... )* or put it last",
            rules.rules[static_cast<size_t>(rule)].name);
      }
      if (rank == kUnseen) {
        rank = kOpen;
        path.push_back({rule, 0});
      }
    };
    enter(first);
    while (!path.empty()) {
      Visit& visit = path.back();
      const std::span<const CallEdge> calls = call_edges(start(visit.rule));
      if (visit.edge < calls.size()) {
        enter(calls[visit.edge++].rule);
      } else {
        ranks_[static_cast<size_t>(visit.rule)] = --next;
        path.pop_back();
      }
    }
  }
}

}  // namespace mm::grammar
