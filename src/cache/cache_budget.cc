#include "cache/cache_budget.h"

#include <algorithm>

#include "base/error.h"

namespace mm {
namespace {

constexpr int64_t kLeastInterval = 512;
constexpr int64_t kMostInterval = 16384;
// Beside those along long contexts: ends of prompts and turns.
constexpr int64_t kCheckpointsPerSequence = 4;

int64_t ceil_div(int64_t value, int64_t unit) {
  return (value + unit - 1) / unit;
}

}  // namespace

int64_t choose_checkpoint_interval(const CacheShape& shape) {
  const int64_t page = std::max<int64_t>(shape.page_bytes(), 1);
  const int64_t interval = shape.state_bytes() / page * shape.block_tokens;
  return std::clamp(interval, kLeastInterval, kMostInterval) / shape.block_tokens *
         shape.block_tokens;
}

CachePlan plan_cache(const CacheShape& shape, const CacheWishes& wishes) {
  const int64_t block = shape.block_tokens;
  if (wishes.checkpoint_every < 0 || wishes.checkpoint_every % block != 0) {
    bad_input("checkpoints every {} tokens, expected a multiple of {}", wishes.checkpoint_every,
              block);
  }
  CachePlan plan;
  plan.checkpoint_every =
      wishes.checkpoint_every > 0 ? wishes.checkpoint_every : choose_checkpoint_interval(shape);
  plan.sizes.live = wishes.sequences;
  const int64_t context_pages = std::max<int64_t>(1, ceil_div(wishes.context_tokens, block));
  const int64_t interval_pages = plan.checkpoint_every / block;
  if (wishes.memory_bytes == 0) {
    plan.sizes.pages = context_pages * wishes.sequences;
    plan.sizes.checkpoints =
        plan.sizes.pages / interval_pages + kCheckpointsPerSequence * wishes.sequences;
  } else {
    const int64_t fixed = wishes.workspace_bytes + plan.sizes.bytes(shape);
    const int64_t least = fixed + context_pages * shape.page_bytes() + shape.state_bytes();
    if (wishes.memory_bytes < least) {
      raise(ErrorKind::kTooLarge,
            "a context of {} tokens needs {} bytes ({} of them workspace and running states), the "
            "memory budget is {}; raise --memory or lower --ctx-size, --parallel or "
            "--prefill-chunk",
            context_pages * block, least, fixed, wishes.memory_bytes);
    }
    const int64_t free = wishes.memory_bytes - fixed;
    const int64_t per_interval = interval_pages * shape.page_bytes() + shape.state_bytes();
    const int64_t most_pages =
        (free - shape.state_bytes()) / std::max<int64_t>(shape.page_bytes(), 1);
    plan.sizes.pages = std::clamp(free / per_interval * interval_pages, context_pages,
                                  std::max(context_pages, most_pages));
    plan.sizes.checkpoints =
        (free - plan.sizes.pages * shape.page_bytes()) / std::max<int64_t>(shape.state_bytes(), 1);
  }
  plan.context_tokens =
      wishes.context_tokens > 0 ? wishes.context_tokens : plan.sizes.pages * block;
  return plan;
}

}  // namespace mm
