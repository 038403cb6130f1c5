/// Products of few rows with weights of any format on a CUDA device, in f32: every weight is read
/// once for eight rows. For what skinny_linear.h cannot take: f32 rows, other weights than bf16.
#pragma once

#include "ops/cuda/linear.h"
#include "ops/cuda/queue.h"

namespace mm::cuda {

/// Whether launch_narrow_linear can run this: sizes and pointers in whole 16-byte groups of
/// weights.
bool fits_narrow_linear(const LinearParams& params, const ExpertWeights& weights);

/// Whether it is faster than launch_linear: few rows per expert.
bool prefers_narrow_linear(const LinearParams& params);

/// The same as launch_linear. An output is one sum in an order that does not depend on the other
/// rows. Throws kDevice.
void launch_narrow_linear(const LinearParams& params, const ExpertWeights& weights, Queue queue);

}  // namespace mm::cuda
