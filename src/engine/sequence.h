/// One request as the scheduler sees it: tokens, positions and what it holds of the cache.
#pragma once

#include <cstdint>
#include <vector>

#include "cache/prefix_cache.h"

namespace mm {

/// Waiting sequences hold nothing; running ones a slot, a lock on `node` and pages.
struct Sequence {
  uint64_t id = 0;              ///< grows with every sequence: also the order of arrival
  std::vector<int32_t> tokens;  ///< the prompt, then what was generated
  int64_t prompt_tokens = 0;
  std::vector<int64_t> cuts;  ///< ascending positions where a step ends and a checkpoint is kept
  bool may_reuse = true;

  int64_t position = 0;                       ///< tokens computed
  int slot = -1;                              ///< row of live states and tails; -1: waiting
  PrefixTree::Node node = PrefixTree::kRoot;  ///< block of the last multiple of 64, locked
  std::vector<int32_t> pages;                 ///< block table; pages behind `node` are private
  int64_t last_checkpoint = 0;                ///< last position on the path that has one
  int64_t branch = 0;                         ///< where it left what was cached; 0: nowhere
  uint64_t served = 0;                        ///< step in which a part of its prompt last ran

  // What it cost so far; over all admissions.
  int64_t cached = 0;    ///< tokens taken over at the first admission
  int64_t replayed = 0;  ///< tokens computed again although they had been computed before
  int64_t computed = 0;  ///< tokens computed for the first time
  int64_t known = 0;     ///< tokens before this position have been computed before
  int64_t preemptions = 0;
  ReuseOutcome outcome = ReuseOutcome::kDisabled;

  bool running() const { return slot >= 0; }
  int64_t size() const { return static_cast<int64_t>(tokens.size()); }
  int64_t remaining() const { return size() - position; }  ///< 1: the next token is a decode step
};

}  // namespace mm
