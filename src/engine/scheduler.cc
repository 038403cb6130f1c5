#include "engine/scheduler.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace mm {
namespace {

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

}  // namespace

Scheduler::Scheduler(PrefixCache& cache, const SchedulerOptions& options)
    : cache_(cache), options_(options) {
  MM_CHECK(options.max_sequences >= 1 &&
           options.step_tokens >= options.max_sequences + options.block_tokens);
  MM_CHECK(options.checkpoint_every > 0 && options.checkpoint_every % options.block_tokens == 0);
  for (int slot = options.max_sequences - 1; slot >= 0; --slot) {
    free_slots_.push_back(slot);
  }
  running_.reserve(free_slots_.size());
  prompts_.reserve(free_slots_.size());
}

void Scheduler::add(Sequence& sequence) {
  MM_CHECK(sequence.position == 0 && !sequence.running() && sequence.remaining() > 0);
  waiting_.push_back(&sequence);
}

void Scheduler::remove(Sequence& sequence, std::vector<StateCopy>& copies) {
  if (sequence.running()) {
    give_up(sequence, copies);
    running_.erase(std::find(running_.begin(), running_.end(), &sequence));
  } else {
    waiting_.remove(&sequence);
  }
}

void Scheduler::keep_checkpoint(Sequence& sequence, std::vector<StateCopy>& copies) {
  const int32_t checkpoint = cache_.add_checkpoint(sequence.node);
  if (checkpoint >= 0) {
    copies.push_back({StateCopy::Kind::kSave, sequence.slot, checkpoint});
  }
  sequence.last_checkpoint = floor_block(sequence.position);
}

// Slot, lock and private pages go back; what is whole stays in the cache with a last checkpoint.
void Scheduler::give_up(Sequence& sequence, std::vector<StateCopy>& copies) {
  if (sequence.may_reuse) {
    keep_checkpoint(sequence, copies);
  }
  const int64_t whole = sequence.position / options_.block_tokens;
  for (size_t i = static_cast<size_t>(whole); i < sequence.pages.size(); ++i) {
    cache_.give_page(sequence.pages[i]);
  }
  sequence.pages.clear();
  cache_.release(sequence.node);
  sequence.node = PrefixTree::kRoot;
  free_slots_.push_back(sequence.slot);
  sequence.slot = -1;
}

void Scheduler::preempt(Sequence& sequence, StepPlan& plan) {
  give_up(sequence, plan.copies);
  running_.erase(std::find(running_.begin(), running_.end(), &sequence));
  const auto planned = std::find_if(plan.items.begin(), plan.items.end(),
                                    [&](const StepItem& i) { return i.sequence == &sequence; });
  if (planned != plan.items.end()) {
    plan.rows -= planned->count;
    plan.items.erase(planned);
  }
  sequence.known = std::max(sequence.known, sequence.position);
  sequence.position = 0;
  ++sequence.preemptions;
  ++preemptions_;
  const auto later = std::find_if(waiting_.begin(), waiting_.end(),
                                  [&](const Sequence* s) { return s->id > sequence.id; });
  waiting_.insert(later, &sequence);
}

// Makes the block table reach `end`, at the cost of younger sequences if need be. False if the
// sequence itself had to yield.
bool Scheduler::reserve_pages(Sequence& sequence, int64_t end, StepPlan& plan) {
  const int64_t needed = (end + options_.block_tokens - 1) / options_.block_tokens;
  while (static_cast<int64_t>(sequence.pages.size()) < needed) {
    const int32_t page = cache_.take_page();
    if (page >= 0) {
      sequence.pages.push_back(page);
      continue;
    }
    Sequence* youngest = running_.back();
    if (running_.size() == 1) {
      plan.stuck = youngest;
      return false;
    }
    preempt(*youngest, plan);
    if (youngest == &sequence) {
      return false;
    }
  }
  return true;
}

bool Scheduler::add_item(Sequence& sequence, int64_t count, StepPlan& plan) {
  MM_CHECK(count > 0, "request {} would stand still at {}", sequence.id, sequence.position);
  if (!reserve_pages(sequence, sequence.position + count, plan)) {
    return false;
  }
  plan.items.push_back({&sequence, count});
  plan.rows += count;
  return true;
}

void Scheduler::plan_decodes(StepPlan& plan) {
  // By index: reserving pages may shorten the list from its end.
  for (size_t i = 0; i < running_.size(); ++i) {
    if (running_[i]->remaining() == 1) {
      add_item(*running_[i], 1, plan);
    }
  }
}

void Scheduler::start(Sequence& sequence, StepPlan& plan) {
  // The last token is computed in any case: its logits are what the request is for.
  const std::span<const int32_t> ids(sequence.tokens.data(), sequence.tokens.size() - 1);
  const PrefixCache::Reuse reuse =
      sequence.may_reuse ? cache_.reuse(ids) : cache_.begin_empty(ReuseOutcome::kDisabled);
  sequence.slot = free_slots_.back();
  free_slots_.pop_back();
  sequence.node = reuse.node;
  sequence.position = reuse.position;
  sequence.last_checkpoint = reuse.position;
  cache_.tree().append_pages(reuse.node, sequence.pages);
  if (sequence.preemptions == 0) {
    sequence.cached = reuse.position;
    sequence.outcome = reuse.outcome;
  }
  sequence.known = std::max(sequence.known, reuse.matched);
  const int64_t branch = floor_block(reuse.matched);
  sequence.branch = branch > reuse.position ? branch : 0;
  running_.push_back(&sequence);
  plan.copies.push_back({reuse.state >= 0 ? StateCopy::Kind::kLoad : StateCopy::Kind::kClear,
                         sequence.slot, reuse.state});
}

void Scheduler::admit(StepPlan& plan) {
  while (!waiting_.empty() && !free_slots_.empty()) {
    Sequence& next = *waiting_.front();
    // Enough for all of its tokens and the next one, even if nothing of it were cached: what is
    // cached may be evicted on the way.
    const int64_t needed = next.size() / options_.block_tokens + 1;
    int64_t promised = 0;  // what running prompts will still take
    for (const Sequence* s : running_) {
      const int64_t whole = s->size() / options_.block_tokens + 1;
      promised += std::max<int64_t>(0, whole - static_cast<int64_t>(s->pages.size()));
    }
    if (!running_.empty() && needed + promised > cache_.available_pages()) {
      return;
    }
    waiting_.pop_front();
    start(next, plan);
  }
}

// In tokens at position 0.
int64_t Scheduler::work(const Sequence& sequence, int64_t count) const {
  const int64_t middle = sequence.position + count / 2;
  return count + (options_.crossover > 0 ? count * middle / options_.crossover : 0);
}

// How many of at most `rows` tokens of its prompt a sequence computes for `share` of work: whole
// blocks where one fits, since they enter the cache at once, and no further than the next
// checkpoint to keep.
int64_t Scheduler::chunk_length(const Sequence& sequence, int64_t rows, int64_t share) const {
  int64_t count = std::min(sequence.remaining(), rows);
  if (options_.separate && count < std::min(sequence.remaining(), options_.block_tokens)) {
    return 0;  // the next step has room for a whole block
  }
  const int64_t cost = work(sequence, count);
  if (cost > share) {
    count = std::max(count * share / cost, std::min(count, options_.block_tokens));
  }
  int64_t end = sequence.position + count;
  if (sequence.may_reuse) {  // others leave no checkpoints
    end = std::min(end, sequence.last_checkpoint + options_.checkpoint_every);
  }
  if (sequence.branch > sequence.position) {
    end = std::min(end, sequence.branch);
  }
  const auto cut = std::upper_bound(sequence.cuts.begin(), sequence.cuts.end(), sequence.position);
  if (cut != sequence.cuts.end()) {
    end = std::min(end, *cut);
  }
  if (end < sequence.size() && floor_block(end) > sequence.position) {
    end = floor_block(end);
  }
  if (options_.separate && end == sequence.size() && end == floor_block(end) + 1) {
    end = std::max(floor_block(end), sequence.position + 1);
  }
  return end - sequence.position;
}

void Scheduler::plan_prompts(StepPlan& plan) {
  prompts_.clear();
  for (Sequence* sequence : running_) {
    if (sequence->remaining() > 1) {
      prompts_.push_back(sequence);
    }
  }
  // Who waited longest comes first; among equals the shortest, whose rest goes to the others.
  std::stable_sort(prompts_.begin(), prompts_.end(), [](const Sequence* a, const Sequence* b) {
    return std::pair(a->served, a->remaining()) < std::pair(b->served, b->remaining());
  });
  int64_t left = options_.step_tokens - plan.rows;
  const auto most = static_cast<size_t>(std::max<int64_t>(1, left / options_.block_tokens));
  prompts_.resize(std::min(prompts_.size(), most));
  const bool alone = running_.size() == 1 && waiting_.empty();
  for (size_t i = 0; i < prompts_.size(); ++i) {
    Sequence& sequence = *prompts_[i];
    if (!sequence.running()) {
      continue;  // it yielded its pages to an older one
    }
    const int64_t share = std::max<int64_t>(1, left / static_cast<int64_t>(prompts_.size() - i));
    const int64_t count = chunk_length(sequence, share, alone ? kNoLimit : share);
    const int64_t cost = work(sequence, count);
    if (count == 0 || (i > 0 && cost > left)) {
      continue;  // it comes first in the next step
    }
    if (add_item(sequence, count, plan)) {
      sequence.served = steps_;
      left -= cost;
    }
  }
}

void Scheduler::plan(StepPlan& plan) {
  plan.copies.clear();
  plan.items.clear();
  plan.rows = 0;
  plan.stuck = nullptr;
  ++steps_;
  const bool prompts_first = options_.separate && prompts_turn_;
  if (!prompts_first) {
    plan_decodes(plan);
  }
  const bool tokens = !plan.items.empty();
  admit(plan);
  if (!options_.separate || !tokens) {
    plan_prompts(plan);
  }
  prompts_turn_ = tokens;
  if (options_.separate && plan.items.empty() && plan.stuck == nullptr) {
    plan_decodes(plan);  // no prompt's turn, or some were admitted that have one token to go
    prompts_turn_ = !plan.items.empty();
  }
}

void Scheduler::commit_blocks(Sequence& sequence) {
  const int64_t block = options_.block_tokens;
  for (int64_t at = cache_.tree().position(sequence.node); at + block <= sequence.position;
       at += block) {
    const std::span<const int32_t> tokens(sequence.tokens.data() + at, static_cast<size_t>(block));
    sequence.node =
        cache_.commit(sequence.node, tokens, sequence.pages[static_cast<size_t>(at / block)]);
  }
}

// After the step that ended at `position` and began at `before`.
bool Scheduler::wants_checkpoint(const Sequence& sequence, int64_t before) const {
  const int64_t end = sequence.position;
  const bool cut = std::any_of(sequence.cuts.begin(), sequence.cuts.end(),
                               [&](int64_t at) { return before < at && at <= end; });
  const bool branch = before < sequence.branch && sequence.branch <= end;
  const bool prompt_done = before < sequence.prompt_tokens && end >= sequence.prompt_tokens;
  const bool due = floor_block(end) - sequence.last_checkpoint >= options_.checkpoint_every;
  return sequence.may_reuse && (cut || branch || prompt_done || due) &&
         floor_block(end) > sequence.last_checkpoint;
}

void Scheduler::complete(const StepPlan& plan, std::vector<StateCopy>& copies) {
  for (const StepItem& item : plan.items) {
    Sequence& sequence = *item.sequence;
    const int64_t before = sequence.position;
    sequence.position += item.count;
    const int64_t known = std::clamp<int64_t>(sequence.known - before, 0, item.count);
    sequence.replayed += known;
    sequence.computed += item.count - known;
    commit_blocks(sequence);
    if (wants_checkpoint(sequence, before)) {
      keep_checkpoint(sequence, copies);
    }
  }
}

int64_t Scheduler::private_pages(const Sequence& sequence) const {
  return static_cast<int64_t>(sequence.pages.size()) - sequence.position / options_.block_tokens;
}

void Scheduler::check_integrity() const {
  int64_t pages = 0;
  for (const Sequence* sequence : running_) {
    MM_CHECK(sequence->running() &&
             cache_.tree().position(sequence->node) == floor_block(sequence->position));
    pages += private_pages(*sequence);
  }
  MM_CHECK(static_cast<int64_t>(free_slots_.size()) + running() == options_.max_sequences);
  cache_.check_integrity(pages);
  for (const Sequence* sequence : waiting_) {
    MM_CHECK(!sequence->running() && sequence->pages.empty() && sequence->position == 0);
  }
}

}  // namespace mm
