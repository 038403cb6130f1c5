/// Causal softmax attention of long steps on Hopper: head size 128, pages of bf16 or codes,
/// products by wgmma.
#pragma once

#include <cuda.h>

#include "ops/cuda/softmax_attention.h"

namespace mm::cuda {

/// Whether launch_softmax_prefill can run this: has_fast_pages(), queries aligned to 16 bytes.
bool fits_softmax_prefill(const SoftmaxParams& params);

/// Descriptor of the pages for the copy engine: boxes of 64 rows × 128 bytes. Throws kInternal.
CUtensorMap make_page_half_map(const Pages& pages);

/// Queries are rounded to bf16, and so are the numbers that codes stand for. Throws kDevice.
void launch_softmax_prefill(const SoftmaxParams& params, const CUtensorMap& pages,
                            cudaStream_t stream);

}  // namespace mm::cuda
