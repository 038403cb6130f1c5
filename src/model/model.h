/// The model as structs of weights: nothing here computes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "model/config.h"
#include "tensor/quant.h"
#include "tensor/tensor.h"

namespace mm {

/// Linear attention with a per-head decay.
struct LightningAttention {
  Weight qkv;     ///< [H·3K, D], per head K rows of q, then k, then v
  Weight gate;    ///< [H·K, D]
  Weight out;     ///< [D, H·K]
  Tensor norm;    ///< f32 [H·K], over all heads at once
  Tensor slopes;  ///< f32 [H], decay rate per token of this layer; computed, never loaded
};

/// Grouped-query softmax attention with partial rotary positions.
struct SoftmaxAttention {
  Weight q;  ///< [H·K, D]
  Weight k;  ///< [G·K, D]
  Weight v;  ///< [G·K, D]
  Weight o;  ///< [D, H·K]
};

/// Mixture of experts: w2 (silu(w1 z) · w3 z).
struct Moe {
  Weight router;           ///< [E, D], used in f32
  std::vector<Weight> w1;  ///< gate, [F, D] per expert
  std::vector<Weight> w3;  ///< up, [F, D]
  std::vector<Weight> w2;  ///< down, [D, F]
};

struct Layer {
  Tensor input_norm;  ///< f32 [D]
  std::variant<LightningAttention, SoftmaxAttention> attention;
  Tensor post_norm;  ///< f32 [D]
  Moe moe;
};

/// Keeps mapped files and owned tensors alive for the weights that borrow them.
struct WeightStorage {
  std::vector<std::shared_ptr<const void>> owners;
};

struct Model {
  ModelConfig config;
  QuantizationConfig quantization;
  Weight embedding;  ///< [V, D]
  std::vector<Layer> layers;
  Tensor final_norm;               ///< f32 [D]
  Weight head;                     ///< [V, D]; a view of `embedding` when tied
  std::vector<int32_t> zero_rows;  ///< vocabulary ids whose embedding row is all zero, ascending
  WeightStorage storage;
};

/// exp(-slope) is the decay per token of head h in layer l of L:
///   slope = s_h · (1 - l/(L-1) + 1e-5),  s_h = 2^(-8(h+1)/H) for H a power of two, else the ALiBi
/// interleaving of the neighbours' slopes. f32 [H]. Source: docs/model.md §2.3.
Tensor lightning_slopes(int num_heads, int layer, int num_layers);

}  // namespace mm
