/// How many pages, slots and checkpoints fit into a memory budget.
#pragma once

#include <cstdint>

#include "cache/cache_storage.h"

namespace mm {

/// What is asked for. Zeros mean: choose.
struct CacheWishes {
  int64_t memory_bytes = 0;      ///< of the cache and `workspace_bytes` together
  int64_t workspace_bytes = 0;   ///< spoken for: activations and scratch
  int64_t context_tokens = 0;    ///< the longest sequence; at least this must fit
  int64_t sequences = 1;         ///< running at once
  int64_t checkpoint_every = 0;  ///< tokens
};

struct CachePlan {
  CacheSizes sizes;
  int64_t checkpoint_every = 0;  ///< tokens, a multiple of the block
  int64_t context_tokens = 0;    ///< the longest sequence that fits
};

/// Tokens between checkpoints whose pages take as many bytes as one checkpoint: replay, on average
/// half of that, then costs least for memory that at most doubles. A multiple of the block, within
/// [512, 16384].
int64_t choose_checkpoint_interval(const CacheShape& shape);

/// With a budget: everything of it is used, pages and checkpoints in the proportion of one
/// checkpoint per `checkpoint_every` tokens. Without: `sequences` contexts of `context_tokens`, and
/// the checkpoints for them.
/// Throws kTooLarge, with both numbers, when the budget has no room for one sequence of
/// `context_tokens` (one block, if that is 0); kBadInput for a wish out of range.
CachePlan plan_cache(const CacheShape& shape, const CacheWishes& wishes);

}  // namespace mm
