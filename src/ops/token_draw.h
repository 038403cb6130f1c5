/// Drawing a token from a row of logits: the mathematics of sampling, without its history.
///
/// With l the logits after biases and penalties, m their maximum and T the temperature, id i has
/// weight exp((l_i - m) / T), rounded to a multiple of 2^-32: sums of weights in double are then
/// exact in any order, so that whoever adds them, host or device, draws the same id. top_k keeps
/// the k best; top_p the shortest run of the best that holds the share p of the weight that is
/// left; min_p those of weight ≥ p (the best has weight 1). Equal logits rank by id, the lower one
/// first. Every stage keeps at least one id.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "ops/draw_math.h"
#include "tensor/tensor.h"

namespace mm {

/// What one row's draw depends on besides its logits. Applied in the order of the fields; every id
/// occurs once in each list. Ids must be in the vocabulary; spans must outlive the draw.
struct TokenDraw {
  std::span<const uint64_t> allowed{};  ///< 64 ids a word, enough words for V; empty: all may come
  std::span<const std::pair<int32_t, float>> biases{};  ///< added; -inf bans
  std::span<const int32_t> repeated{};                  ///< ids that repetition_penalty is for
  float repetition_penalty = 1;  ///< > 0; divides positive and multiplies negative logits
  std::span<const std::pair<int32_t, int32_t>> drawn{};  ///< ids and how often they were drawn
  float presence_penalty = 0;                            ///< subtracted once
  float frequency_penalty = 0;                           ///< subtracted each time
  std::span<const int32_t> banned{};                     ///< never win
  float temperature = 0;                                 ///< 0: the best
  int top_k = 0;                                         ///< 0: off
  float top_p = 1;                                       ///< in (0, 1]; 1: off
  float min_p = 0;                                       ///< in [0, 1]; 0: off
  double uniform = 0;                                    ///< the random number, in [0, 1)
};

/// 1 / temperature, finite.
float inverse_temperature(const TokenDraw& draw);

/// Draws on the host. Cost: O(V) cheap operations and no allocation per draw; nothing of size V is
/// ever sorted.
class HostTokenDrawer {
 public:
  /// Takes memory at the first draw: 8 bytes an id, 16 with top_k or top_p.
  explicit HostTokenDrawer(int64_t vocab_size);

  /// The id, or kNoToken. A logit that is not finite never wins. `logits` f32 [V]. Throws kInternal
  /// if the row is not [V].
  int32_t draw(std::span<const float> logits, const TokenDraw& draw);

 private:
  struct Candidate {
    float logit;
    int32_t id;
  };
  struct BetterThan;

  void load(std::span<const float> logits);
  void keep(std::span<const uint64_t> allowed);
  void apply_changes(const TokenDraw& draw);
  void find_block_maxima();
  int32_t argmax() const;
  float weight(float logit) const;
  void collect(float least_logit);
  std::span<Candidate> top_k(size_t k);
  std::span<Candidate> shorten(std::span<Candidate> best, const TokenDraw& draw) const;
  void compute_weights();
  float cut_nucleus(float top_p);
  void sum_blocks(float least, float least_logit);
  int32_t draw_among(std::span<const Candidate> candidates, double uniform) const;
  int32_t draw_from_all(double uniform) const;

  int64_t vocab_size_;
  std::vector<float> logits_;  // [V] and padding of -inf to whole blocks
  std::vector<float> block_max_;
  std::vector<float> block_order_;  // scratch: block_max_ to be partly ordered
  std::vector<float> weights_;      // as logits_
  std::vector<double> block_sum_;   // of weights_
  std::vector<Candidate> candidates_;
  float max_ = 0;
  float inverse_temperature_ = 0;
};

/// A backend that can draw where its logits lie.
class TokenDrawer {
 public:
  virtual ~TokenDrawer() = default;

  /// Queues the draws of rows of logits f32 [R, V], with draws[i] from row i, and writes ids i32
  /// [R] where `logits` lie: the same ids as HostTokenDrawer's, or kNoToken, or kTooManyCandidates
  /// for the host to draw. The logits stay as they are. Returns at once; what `draws` points to may
  /// change then. Throws kDevice, kOutOfMemory.
  virtual void draw_tokens(const TensorView& logits, std::span<const TokenDraw> draws,
                           const TensorView& ids) = 0;
};

}  // namespace mm
