/// Lightning attention on a CUDA device: a decayed running sum of key-value products in blocks of
/// 64 absolute positions, with a state at the last block boundary and a tail of rows since then.
#pragma once

#include "ops/cuda/queue.h"
#include "ops/cuda/views.h"

namespace mm::cuda {

/// Arguments of the lightning kernels. All pointers are device memory.
struct LightningParams {
  HeadRows q, k, v;               ///< [T, H, K], after SiLU
  const float* slopes = nullptr;  ///< [H]
  RaggedRows rows;
  const int32_t* slots = nullptr;  ///< [N], row of the cache of each sequence
  int64_t num_slots = 0;
  float* states = nullptr;  ///< f32 [slots, H, K(v), K(k)], updated
  void* tail_k = nullptr;   ///< [slots, H, 64, K], updated
  void* tail_v = nullptr;   ///< [slots, H, 64, K], updated
  DType tail_type = DType::kF32;
  void* out = nullptr;  ///< [T, H, K] contiguous, written
  DType out_type = DType::kF32;
  int heads = 0;  ///< H
  int size = 0;   ///< K
};

/// Which rows of each sequence a launch is for.
enum class LightningRows {
  kAll,
  kToBoundary,  ///< those before the first block boundary: none if the step starts at one
};

/// Any head size up to 256, any types, sums in f32, row after row; queued on `queue`. Throws
/// kDevice.
void launch_lightning_plain(const LightningParams& params, LightningRows which, Queue queue);

}  // namespace mm::cuda
