/// Root mean square norm of rows on a CUDA device.
#pragma once

#include <cstdint>

#include "ops/cuda/queue.h"
#include "tensor/dtype.h"

namespace mm::cuda {

/// Arguments of launch_rms_norm. All pointers are device memory; `out` may be `x`.
struct RmsNormParams {
  const void* x = nullptr;        ///< [rows, width] f32; launch_gated_norm: or bf16
  const float* weight = nullptr;  ///< [width] f32
  void* out = nullptr;            ///< [rows, width] f32 or bf16, written
  DType out_type = DType::kF32;
  int64_t rows = 0;   ///< > 0
  int64_t width = 0;  ///< > 0
  float eps = 0;
};

/// out = weight · x / sqrt(mean(x²) + eps) per row, queued on `queue`. Throws kDevice.
void launch_rms_norm(const RmsNormParams& params, Queue queue);

/// Arguments of launch_gated_norm.
struct GatedNormParams {
  RmsNormParams norm;
  DType x_type = DType::kF32;
  const void* gate = nullptr;  ///< [rows, width] f32 or bf16
  DType gate_type = DType::kF32;
};

/// out = sigmoid(gate) · the norm of x, queued on `queue`. Throws kDevice.
void launch_gated_norm(const GatedNormParams& params, Queue queue);

}  // namespace mm::cuda
