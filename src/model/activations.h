/// Every intermediate of a forward pass, named, allocated once.
#pragma once

#include "model/config.h"
#include "tensor/tensor.h"

namespace mm {

/// What products read: f32, or bf16 with f32 sums. Norm statistics, residuals, router, states,
/// softmax and logits are f32 in both.
enum class ComputeType : uint8_t { kF32, kBf16 };

inline DType to_dtype(ComputeType type) {
  return type == ComputeType::kF32 ? DType::kF32 : DType::kBf16;
}

/// Buffers for steps of up to `max_rows` tokens. "c" below is the compute type; "b", of what passes
/// from a product to the next op, is the compute type on a device, where every pass over memory
/// counts, and f32 on the host.
struct Activations {
  /// Decides every size from the config. S = max_rows · experts per token.
  Activations(const ModelConfig& config, ComputeType compute, int64_t max_rows,
              int64_t max_logit_rows, Device device = {});

  int64_t max_rows;
  int64_t max_logit_rows;
  ComputeType compute;

  Tensor x;         ///< f32 [T, D], what flows from layer to layer
  Tensor normed;    ///< f32 [T, D], normalised: the residual of a post-norm model
  Tensor input;     ///< c [T, D], `normed` as products read it (empty in f32)
  Tensor branch;    ///< b [T, D], output of attention or experts
  Tensor qkv;       ///< b [T, max(3·H, H + 2·G)·K]
  Tensor gate;      ///< b [T, H·K]
  Tensor attended;  ///< b [T, H·K]
  Tensor gated;     ///< c [T, H·K], input of the output projection

  Tensor router_logits;    ///< f32 [T, E]
  Tensor expert_ids;       ///< i32 [T, A]
  Tensor expert_weights;   ///< f32 [T, A]
  Tensor route_order;      ///< i32 [S]
  Tensor route_positions;  ///< i32 [T, A]
  Tensor route_offsets;    ///< i32 [E + 1]
  Tensor routed;           ///< c [S, D]
  Tensor expert_gate;      ///< f32 [S, F]
  Tensor expert_up;        ///< f32 [S, F]
  Tensor expert_hidden;    ///< c [S, F]
  Tensor expert_out;       ///< b [S, D]

  Tensor logit_x;  ///< f32 [*, D], final rows that want logits; the head reads f32 in both
  Tensor logits;   ///< f32 [*, V]
};

/// Bytes that Activations of this shape will hold.
int64_t activation_bytes(const ModelConfig& config, ComputeType compute, int64_t max_rows,
                         int64_t max_logit_rows, Device device = {});

}  // namespace mm
