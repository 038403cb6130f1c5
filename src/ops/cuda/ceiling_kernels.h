/// Kernels that only measurements need.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace mm::cuda {

/// Reproducible random values scale · normal.
struct RandomFill {
  void* data = nullptr;
  DType dtype = DType::kBf16;  ///< f32, bf16 or e4m3; others are left alone
  int64_t count = 0;
  float scale = 1;
  uint64_t seed = 1;
};
void launch_random_fill(const RandomFill& fill, cudaStream_t stream);

/// Reads `bytes` (a multiple of 16) once. `out`, of 4 bytes, is never written, but the compiler
/// cannot know.
void launch_read(const void* data, int64_t bytes, uint32_t* out, cudaStream_t stream);

}  // namespace mm::cuda
