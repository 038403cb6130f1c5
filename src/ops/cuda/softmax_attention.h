/// Causal grouped-query attention over pages on a CUDA device.
#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/views.h"

namespace mm::cuda {

/// Arguments of the softmax kernels. All pointers are device memory.
struct SoftmaxParams {
  HeadRows q;  ///< [T, H, K], rotated
  Pages kv;    ///< rows of this step already stored
  RaggedRows rows;
  int heads = 0;  ///< H, a multiple of kv.heads
  float scale = 1;
  void* out = nullptr;  ///< [T, H, K] contiguous, written
  DType out_type = DType::kF32;
};

/// Largest head size of launch_softmax_plain.
constexpr int kMaxPlainHeadSize = 256;

/// Any head size up to kMaxPlainHeadSize, any types, sums in f32; queued on `stream`. Throws
/// kDevice.
void launch_softmax_plain(const SoftmaxParams& params, cudaStream_t stream);

}  // namespace mm::cuda
