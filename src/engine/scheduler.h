/// What runs in the next step. Integers only: no clock, no tensor, no model.
///
/// Policy. Every running sequence whose prompt is done gets its next token in every step. What is
/// left of the step's budget goes to prompts, shared equally among as many as get a block of 64
/// each, those served longest ago first: a short prompt does not wait for a long one. Waiting
/// sequences are admitted in order of arrival. When pages run out, the youngest running sequence
/// gives its own back and waits; what it computed stays in the cache as long as there is room.
///
/// Where steps must be of one kind (`separate`), those of tokens and of prompts take turns. A chunk
/// ends at a multiple of 64 or with its prompt, and a single row after the last such multiple is
/// a step of the first kind, so what a row is follows from its sequence alone.
///
/// Bounded stall: beside other sequences a prompt's part is at most as much work as `step_tokens`
/// tokens at position 0, or one block, whichever is more. So the time between two tokens of a
/// running sequence is at most that of one such step.
#pragma once

#include <cstdint>
#include <list>
#include <vector>

#include "engine/sequence.h"

namespace mm {

struct SchedulerOptions {
  int max_sequences = 1;      ///< running at once
  int64_t step_tokens = 512;  ///< rows of one step, ≥ max_sequences + block_tokens
  int64_t block_tokens = 64;
  int64_t checkpoint_every = 4096;  ///< tokens between checkpoints; a multiple of block_tokens
  /// Steps are of one kind, and a row's kind does not depend on chunks: for backends with kernels
  /// for either.
  bool separate = false;
  int64_t crossover = 0;  ///< position at which a token costs twice that of position 0; 0: never
};

/// Rows [position, position + count) of one sequence.
struct StepItem {
  Sequence* sequence = nullptr;
  int64_t count = 0;
  bool wants_logits() const { return count == sequence->remaining(); }
};

/// Copies of recurrent states, to be made in this order.
struct StateCopy {
  enum class Kind : uint8_t { kClear, kLoad, kSave };
  Kind kind = Kind::kClear;  ///< zeros to live / checkpoint to live / live to checkpoint
  int live = 0;
  int32_t checkpoint = -1;
};

/// One step: copies first, then all items together.
struct StepPlan {
  std::vector<StateCopy> copies;
  std::vector<StepItem> items;
  int64_t rows = 0;
  /// Runs alone and finds no page for its next tokens: the rest is held by nobody who could yield,
  /// such as prefixes kept from elsewhere. To be removed, or it stands still.
  Sequence* stuck = nullptr;
};

class Scheduler {
 public:
  /// Throws kInternal for options that contradict each other.
  Scheduler(PrefixCache& cache, const SchedulerOptions& options);

  /// Takes a sequence in; the caller owns it and keeps it alive until remove(). Its tokens and the
  /// one after them must fit into all pages together.
  void add(Sequence& sequence);
  /// Gives back all that a sequence holds; its state stays as a checkpoint if it runs. `copies` are
  /// to be made before the next step. Any time but between plan() and complete().
  void remove(Sequence& sequence, std::vector<StateCopy>& copies);
  /// Keeps the state of a running sequence as a checkpoint at its last multiple of 64.
  void keep_checkpoint(Sequence& sequence, std::vector<StateCopy>& copies);

  /// Fills `plan` (whose memory is used again). No items and none stuck: nothing can run.
  void plan(StepPlan& plan);
  /// The plan has run: positions advance, whole blocks enter the cache, checkpoints are kept.
  /// `copies` are to be made before the next step.
  void complete(const StepPlan& plan, std::vector<StateCopy>& copies);

  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  int64_t free_slots() const { return static_cast<int64_t>(free_slots_.size()); }
  int64_t preemptions() const { return preemptions_; }
  /// Throws kInternal if pages, slots or locks do not add up.
  void check_integrity() const;

 private:
  void plan_decodes(StepPlan& plan);
  void admit(StepPlan& plan);
  void start(Sequence& sequence, StepPlan& plan);
  void plan_prompts(StepPlan& plan);
  int64_t work(const Sequence& sequence, int64_t count) const;
  int64_t chunk_length(const Sequence& sequence, int64_t rows, int64_t share) const;
  bool add_item(Sequence& sequence, int64_t count, StepPlan& plan);
  bool reserve_pages(Sequence& sequence, int64_t end, StepPlan& plan);
  void preempt(Sequence& sequence, StepPlan& plan);
  void give_up(Sequence& sequence, std::vector<StateCopy>& copies);
  void commit_blocks(Sequence& sequence);
  bool wants_checkpoint(const Sequence& sequence, int64_t before) const;
  int64_t private_pages(const Sequence& sequence) const;
  int64_t floor_block(int64_t position) const {
    return position / options_.block_tokens * options_.block_tokens;
  }

  PrefixCache& cache_;
  SchedulerOptions options_;
  std::list<Sequence*> waiting_;    // by arrival
  std::vector<Sequence*> running_;  // by admission
  std::vector<Sequence*> prompts_;  // scratch of plan_prompts
  std::vector<int> free_slots_;     // a stack
  uint64_t steps_ = 0;
  bool prompts_turn_ = false;  // of separate steps
  int64_t preemptions_ = 0;
};

}  // namespace mm
