/// What a step must read and multiply: the yardstick that measured speed is divided by.
#pragma once

#include <cstdint>

#include "model/config.h"
#include "model/summary.h"
#include "tensor/dtype.h"

namespace mm {

/// Memory that has to be read and products that have to be made, at least. Activations, which stay
/// in cache, do not count, nor does writing.
struct StepCost {
  int64_t weight_bytes = 0;     ///< active experts only; one embedding row; the whole head
  int64_t state_bytes = 0;      ///< recurrent states
  int64_t tail_bytes = 0;       ///< keys and values since the last multiple of 64
  int64_t kv_bytes = 0;         ///< keys and values of softmax layers, with their scales
  int64_t linear_flops = 0;     ///< 2 per multiply-add with a weight
  int64_t attention_flops = 0;  ///< 2 per multiply-add of attention itself

  int64_t bytes() const { return weight_bytes + state_bytes + tail_bytes + kv_bytes; }
  int64_t flops() const { return linear_flops + attention_flops; }
  StepCost& operator+=(const StepCost& other);
};

/// Types of what a sequence stores.
struct CacheTypes {
  DType tail = DType::kBf16;
  DType kv = DType::kBf16;
};

/// One decoded token at `position` (tokens before it).
StepCost decode_cost(const ModelConfig& config, const ModelSummary& summary, int64_t position,
                     const CacheTypes& types);

/// A prefill of `tokens` from an empty sequence in steps of `chunk`, with logits for the last
/// token. Every step reads every expert once, as it does when its tokens spread over all of them;
/// states, tails and keys are read in blocks that stay in cache and are not counted.
StepCost prefill_cost(const ModelConfig& config, const ModelSummary& summary, int64_t tokens,
                      int64_t chunk);

/// What the steps of one model cost, cheap enough to be asked at every step.
class StepCosts {
 public:
  StepCosts(const ModelConfig& config, const ModelSummary& summary, const CacheTypes& types);

  /// The weights for `rows` tokens of any sequences, the head for `logit_rows` of them. As many
  /// experts are read as even routing reaches on average: E·(1 - (1 - A/E)^rows) of E, A a token.
  StepCost weights(int64_t rows, int64_t logit_rows) const;
  /// The attention of one sequence's tokens [start, start + rows): its state, and the keys before
  /// and among them, are read once.
  StepCost attention(int64_t start, int64_t rows) const;

 private:
  // Bytes.
  int64_t expert_bytes_, body_bytes_, head_bytes_, embedding_row_bytes_;
  int64_t state_bytes_, tail_row_bytes_, kv_row_bytes_;
  // FLOPs.
  int64_t body_flops_, head_flops_;        // a row
  int64_t state_flops_, block_row_flops_;  // of lightning layers: a row, a pair of rows
  int64_t key_flops_;                      // of softmax layers: a pair of rows
  double expert_share_;                    // A/E
};

}  // namespace mm
