/// The lightning attention layer:
///
///   q, k, v = silu(W_qkv a), per head
///   o = decayed linear attention of q, k, v        (Backend::lightning_attention)
///   y = W_out( sigmoid(W_gate a) · rms_norm(o) )   the norm spans all heads
///
/// Source: MiniMax-01 report and released code.
#pragma once

#include "model/layers/layer_step.h"
#include "model/model.h"

namespace mm {

/// input c [T, D] → branch f32 [T, D]. Advances the layer's states and tails.
void attend(const LightningAttention& layer, const LayerStep& step, const TensorView& input,
            const TensorView& branch);

}  // namespace mm
