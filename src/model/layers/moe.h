/// The mixture of experts:
///
///   p = router z (f32);  the A largest, weights = softmax over these
///   y = Σ_a weight_a · W2_a( silu(W1_a z) · W3_a z )
///
/// Rows are grouped by expert, so that each expert's matrices are read once a step.
/// Source: MiniMax-01 report and released code.
#pragma once

#include "model/layers/layer_step.h"
#include "model/model.h"

namespace mm {

/// z f32 [T, D] for the router, input c [T, D] the same for the experts → the experts' rows and how
/// tokens mix them, which the residual does.
Branch mix_experts(const Moe& moe, const LayerStep& step, const TensorView& z,
                   const TensorView& input);

}  // namespace mm
