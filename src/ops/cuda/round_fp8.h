/// Rows of activations rounded to e4m3, each in units of its own scale, for products with fp8
/// weights.
#pragma once

#include <cstdint>

#include "ops/cuda/queue.h"

namespace mm::cuda {

/// Arguments of launch_round_fp8. All pointers are device memory, aligned to 16 bytes.
struct RoundFp8Params {
  const void* x = nullptr;  ///< [rows, cols] bf16
  void* codes = nullptr;    ///< [rows, cols] e4m3, written
  float* scales = nullptr;  ///< [rows], written
  int64_t rows = 0;         ///< > 0
  int64_t cols = 0;         ///< a multiple of 16
};

/// scale = max|x| / 448 of a row, 448 being the largest e4m3, code = x / scale to nearest, ties to
/// even; a row of zeros has scale 0. What becomes of a row depends on it alone. Throws kDevice.
void launch_round_fp8(const RoundFp8Params& params, Queue queue);

}  // namespace mm::cuda
