/// Draws a token from a row of logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/request.h"

namespace mm {

/// One sequence's sampler: parameters, the history that penalties need, scratch.
///
/// With l the logits after biases and penalties, m their maximum and T the temperature, id i has
/// weight exp((l_i - m) / T). top_k keeps the k best; top_p the shortest run of the best that holds
/// the share p of the weight that is left; min_p those of weight ≥ p (the best has weight 1).
/// Equal logits rank by id, the lower one first. Every stage keeps at least one id.
///
/// Cost: O(V) cheap operations and no allocation per draw; nothing of size V is ever sorted.
class Sampler {
 public:
  /// `banned` ids (vocabulary rows without training) never win. Throws as validate(), and kBadInput
  /// for a banned id outside the vocabulary.
  Sampler(const SamplingParams& params, int64_t vocab_size, std::span<const int32_t> banned);

  /// Tells of tokens that are already there, for the repetition penalty; presence and frequency
  /// count only those that sample() drew. Ids must be in the vocabulary.
  void accept_prompt(std::span<const int32_t> ids);

  /// Draws the next id from logits f32 [V] and remembers it. A pure function of logits, `allowed`,
  /// history, seed and the number of draws so far. A logit that is not finite never wins, nor does
  /// an id without its bit in `allowed` (64 ids a word, enough words for V; empty: all have it).
  /// Throws kInternal if none is left, or if the row is not [V].
  int32_t sample(std::span<const float> logits, std::span<const uint64_t> allowed = {});

 private:
  struct Candidate {
    float logit;
    int32_t id;
  };
  struct BetterThan;

  bool uses_top_k() const;
  void remember(int32_t id);
  void set_logit(int32_t id, float value);
  void load(std::span<const float> logits);
  void keep(std::span<const uint64_t> allowed);
  void apply_penalties();
  void find_block_maxima();
  int32_t argmax() const;
  float weight(float logit) const;
  void collect(float least_logit);
  std::span<Candidate> top_k();
  std::span<Candidate> shorten(std::span<Candidate> best) const;
  void compute_weights();
  float cut_nucleus();
  void sum_blocks(float least, float least_logit);
  int32_t draw_among(std::span<const Candidate> candidates, double uniform) const;
  int32_t draw_from_all(double uniform) const;

  SamplingParams params_;
  int64_t vocab_size_;
  std::vector<int32_t> banned_;
  std::vector<int32_t> recent_;  // repetition window: a ring, or every distinct id when unbounded
  size_t recent_next_ = 0;       // where the ring writes next
  std::vector<uint32_t> marks_;  // [V] when penalised: dedupes recent_
  uint32_t mark_ = 0;
  std::vector<int32_t> counts_;  // [V] times drawn, when penalised
  std::vector<int32_t> drawn_;   // distinct ids drawn
  std::vector<float> logits_;    // [V] and padding of -inf to whole blocks
  std::vector<float> block_max_;
  std::vector<float> block_order_;  // scratch: block_max_ to be partly ordered
  std::vector<float> weights_;      // as logits_
  std::vector<double> block_sum_;   // of weights_
  std::vector<Candidate> candidates_;
  float max_ = 0;
  float inverse_temperature_ = 0;
  uint64_t draws_ = 0;
};

}  // namespace mm
