/// Causal grouped-query attention over pages on a CUDA device.
#pragma once

#include "ops/cuda/queue.h"
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

/// Whether the kernels on tensor cores can read the pages: head size 128, bf16 or codes, aligned to
/// 16 bytes, as their scales.
inline bool has_fast_pages(const SoftmaxParams& params) {
  const Pages& kv = params.kv;
  const auto addresses =
      reinterpret_cast<uintptr_t>(kv.data) | reinterpret_cast<uintptr_t>(kv.scales);
  return kv.size == 128 && (kv.dtype == DType::kBf16 || is_scaled(kv.dtype)) && addresses % 16 == 0;
}

/// Largest head size of launch_softmax_plain.
constexpr int kMaxPlainHeadSize = 256;

/// Any head size up to kMaxPlainHeadSize, any types, sums in f32; queued on `queue`. Throws
/// kDevice.
void launch_softmax_plain(const SoftmaxParams& params, Queue queue);

}  // namespace mm::cuda
