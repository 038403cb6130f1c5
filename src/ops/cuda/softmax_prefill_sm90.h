/// Causal softmax attention of long steps on Hopper: head size 128, bf16 pages, products by wgmma.
#pragma once

#include <cuda.h>

#include "ops/cuda/softmax_attention.h"

namespace mm::cuda {

/// Whether launch_softmax_prefill can run this: head size 128, bf16 pages aligned to 16 bytes.
bool fits_softmax_prefill(const SoftmaxParams& params);

/// Descriptor of the pages for the copy engine: boxes of 64 rows × 64 channels. Throws kInternal.
CUtensorMap make_page_half_map(const Pages& pages);

/// Queries are rounded to bf16. Throws kDevice.
void launch_softmax_prefill(const SoftmaxParams& params, const CUtensorMap& pages,
                            cudaStream_t stream);

}  // namespace mm::cuda
