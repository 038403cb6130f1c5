/// Walking a TokenTrie and an Automaton side by side.
#pragma once

#include <cstdint>
#include <vector>

#include "text/grammar/stack_sets.h"
#include "text/grammar/token_trie.h"

namespace mm::grammar {

/// Calls visit(node, set) for every node below `top` whose bytes can be read from `set`, the place
/// at `top`; `set` is where they lead. Nodes come in depth-first order. Returns the number of nodes
/// looked at. `places` is scratch.
template <typename Visit>
int64_t walk_below(const TokenTrie& trie, uint32_t top, StackSets& sets, int32_t set,
                   std::vector<int32_t>& places, Visit visit) {
  const TokenTrie::Node* const nodes = trie.nodes().data();
  const uint32_t end = nodes[top].skip;
  places.resize(trie.depth() + 1);
  places[nodes[top].depth] = set;
  int64_t looked_at = 0;
  for (uint32_t node = top + 1; node < end; ++looked_at) {
    const size_t depth = nodes[node].depth;
    const int32_t next = sets.next(places[depth - 1], nodes[node].byte);
    if (next == StackSets::kDead) {
      node = nodes[node].skip;
      continue;
    }
    places[depth] = next;
    visit(node, next);
    ++node;
  }
  return looked_at;
}

}  // namespace mm::grammar
