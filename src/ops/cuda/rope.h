/// Rotary positions on a CUDA device.
#pragma once

#include <cstdint>

#include "ops/cuda/queue.h"
#include "tensor/dtype.h"

namespace mm::cuda {

/// Arguments of launch_rope. All pointers are device memory.
struct RopeParams {
  void* x = nullptr;  ///< f32 or bf16 [tokens, heads, ≥ rotary], rotated in place
  DType x_type = DType::kF32;
  int64_t row_stride = 0;              ///< elements between tokens
  int64_t head_stride = 0;             ///< elements between heads
  const int32_t* positions = nullptr;  ///< [tokens]
  int64_t tokens = 0;                  ///< > 0
  int heads = 0;
  int rotary = 0;  ///< even, > 0
  double theta = 0;
};

/// Rotates channels i and i + rotary/2 of every head by position · theta^(-2i/rotary), queued on
/// `stream`. Throws kDevice.
void launch_rope(const RopeParams& params, Queue queue);

}  // namespace mm::cuda
