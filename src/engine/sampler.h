/// What the draws of one sequence depend on: parameters, and the history that penalties need.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "engine/request.h"
#include "ops/token_draw.h"

namespace mm {

class Sampler {
 public:
  /// `banned` ids (vocabulary rows without training) never win. Throws as validate(), and kBadInput
  /// for a banned id outside the vocabulary.
  Sampler(const SamplingParams& params, int64_t vocab_size, std::span<const int32_t> banned);

  /// Tells of tokens that are already there, for the repetition penalty; presence and frequency
  /// count only those that were drawn. Ids must be in the vocabulary.
  void accept_prompt(std::span<const int32_t> ids);

  /// The next draw: a function of `allowed` (TokenDraw::allowed), history, seed and the number of
  /// draws so far. What it points to is valid until accept().
  TokenDraw next(std::span<const uint64_t> allowed = {});
  /// Remembers what was drawn.
  void accept(int32_t id);

 private:
  void remember(int32_t id);
  std::span<const int32_t> distinct_recent();

  SamplingParams params_;
  int64_t vocab_size_;
  std::vector<std::pair<int32_t, float>> biases_;  // sorted, each id once
  std::vector<int32_t> banned_;
  std::vector<int32_t> recent_;    // repetition window: a ring, or every distinct id when unbounded
  size_t recent_next_ = 0;         // where the ring writes next
  std::vector<int32_t> distinct_;  // scratch: recent_, each id once
  std::vector<uint32_t> marks_;    // [V] when penalised: dedupes recent_
  uint32_t mark_ = 0;
  std::vector<std::pair<int32_t, int32_t>> drawn_;  // distinct ids drawn and their times
  std::vector<int32_t> drawn_at_;  // [V] when penalised: 1 + index in drawn_; 0: never drawn
  uint64_t draws_ = 0;
};

}  // namespace mm
