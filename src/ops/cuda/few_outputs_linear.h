/// Products of many f32 rows with a matrix of few outputs, such as a router's.
#pragma once

#include "ops/cuda/linear.h"
#include "ops/cuda/queue.h"

namespace mm::cuda {

/// Whether the kernel takes this product: one f32 matrix of at most 64 outputs, f32 rows and
/// results, a depth that is a multiple of 16, aligned to 16 bytes.
bool fits_few_outputs_linear(const LinearParams& params, const WeightRef& weight);

/// out = x Wᵀ by tf32 products of operands in two parts, as good as products in f32, with sums in
/// f32, queued on `queue`. Throws kDevice.
void launch_few_outputs_linear(const LinearParams& params, const WeightRef& weight, Queue queue);

}  // namespace mm::cuda
