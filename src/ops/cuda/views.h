/// Tensors as kernels see them: plain data with device pointers, shapes in the comments.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace mm::cuda {

/// Tokens per page and per lightning block: kBlockTokens of ops/backend.h, which kernels do not
/// include (nvcc would parse fmt).
constexpr int kBlock = 64;

/// [T, heads, K] with any strides but 1 along K.
struct HeadRows {
  void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t row_stride = 0;   ///< elements
  int64_t head_stride = 0;  ///< elements
};

/// Whether every head of every row begins at a multiple of 16 bytes.
inline bool is_aligned(const HeadRows& rows) {
  const int64_t size = size_of(rows.dtype);
  return reinterpret_cast<uintptr_t>(rows.data) % 16 == 0 && rows.row_stride * size % 16 == 0 &&
         rows.head_stride * size % 16 == 0;
}

/// Which rows belong to which sequence.
struct RaggedRows {
  const int32_t* offsets = nullptr;  ///< [sequences + 1]
  const int32_t* starts = nullptr;   ///< [sequences]
  int sequences = 0;                 ///< N
  int64_t total = 0;                 ///< T
};

/// Pages of keys and values, [B, G, 2, 64, K].
struct Pages {
  void* data = nullptr;
  DType dtype = DType::kF32;
  float* scales = nullptr;         ///< [B, G, 2, 64] for pages of codes, else null
  const int32_t* table = nullptr;  ///< [N, ≥ blocks]
  int64_t table_stride = 0;        ///< elements between sequences
  int64_t blocks = 0;              ///< blocks a sequence may have
  int64_t pages = 0;               ///< B
  int heads = 0;                   ///< G
  int size = 0;                    ///< K
};

}  // namespace mm::cuda
