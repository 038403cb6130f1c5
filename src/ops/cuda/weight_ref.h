/// A weight matrix as kernels see it.
#pragma once

#include <cstdint>

namespace mm::cuda {

/// How elements are stored; one kernel instance each.
enum class WeightKind { kF32, kBf16, kF16, kInt8, kFp8, kInt4F32, kInt4Bf16 };

/// Device pointers of one matrix [rows, cols]; plain data, passed by value.
struct WeightRef {
  const void* data = nullptr;
  const void* scales = nullptr;  ///< null for float kinds
};

/// What all the matrices of a call share.
struct WeightShape {
  WeightKind kind = WeightKind::kBf16;
  int group = 0;     ///< columns per scale, int4
  int64_t rows = 0;  ///< N
  int64_t cols = 0;  ///< K
};

}  // namespace mm::cuda
