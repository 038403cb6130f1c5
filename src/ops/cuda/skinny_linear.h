/// Products of few rows with bf16 or e4m3 weights on a CUDA device: every weight is read once.
#pragma once

#include "ops/cuda/linear.h"
#include "ops/cuda/queue.h"

namespace mm::cuda {

/// Whether launch_skinny_linear can run this: rows and weights both bf16 or both e4m3, sizes in
/// whole 16-byte groups.
bool fits_skinny_linear(const LinearParams& params);

/// Whether it is the faster one: few rows per expert.
bool prefers_skinny_linear(const LinearParams& params);

/// The same as launch_linear, of operands as they are; e4m3 with `x_scales`. Throws kDevice.
void launch_skinny_linear(const LinearParams& params, const ExpertWeights& weights, Queue queue);

}  // namespace mm::cuda
