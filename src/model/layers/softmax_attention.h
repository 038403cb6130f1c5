/// The softmax attention layer: grouped-query, causal, with rotary positions on the leading
/// channels of each head.
///
///   q, k, v = W_q a, W_k a, W_v a;  q, k rotated;  k, v stored in the pages
///   y = W_o softmax(q Kᵀ / sqrt(K)) V
///
/// Source: MiniMax-01 report and released code.
#pragma once

#include "model/layers/layer_step.h"
#include "model/model.h"

namespace mm {

/// input c [T, D] → branch f32 [T, D]. Writes the step's keys and values into the pages.
void attend(const SoftmaxAttention& layer, const LayerStep& step, const TensorView& input,
            const TensorView& branch);

}  // namespace mm
