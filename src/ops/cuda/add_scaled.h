/// out ← alpha · a + beta · b on a CUDA device: the scaled residual of a block.
#pragma once

#include <cstdint>

#include "ops/cuda/queue.h"

namespace mm::cuda {

/// Arguments of launch_add_scaled. All pointers are device memory; `out` may be `a` or `b`.
struct AddScaledParams {
  const float* a = nullptr;  ///< [count] f32
  const float* b = nullptr;  ///< [count] f32
  float* out = nullptr;      ///< [count] f32, written
  int64_t count = 0;         ///< elements, ≥ 0
  float alpha = 1.0F;        ///< factor of a
  float beta = 1.0F;         ///< factor of b
};

/// How add_scaled is spread over a device.
struct AddScaledConfig {
  unsigned blocks = 0;   ///< 0 when there is nothing to do
  unsigned threads = 0;  ///< per block
};

/// Picks the launch for `count` elements on a device with `multiprocessors` of them.
///
/// Enough threads to hide memory latency, never more than there are elements; the kernel strides,
/// so any grid is correct. Throws kInternal when an argument is negative or there is no
/// multiprocessor.
AddScaledConfig config_add_scaled(int64_t count, int multiprocessors);

/// out[i] ← alpha · a[i] + beta · b[i] for i in [0, count), queued on `queue`.
///
/// Each product and the sum are rounded on their own (no fused multiply-add), so the result has
/// the same bits as the CPU's loop. Throws kDevice when the launch fails; errors inside the kernel
/// appear at the next synchronising call.
void launch_add_scaled(const AddScaledParams& params, const AddScaledConfig& config, Queue queue);

}  // namespace mm::cuda
