/// Products of rows grouped by expert on Hopper: bf16 or e4m3 operands, sums in f32, products by
/// wgmma.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace mm::cuda {

/// Arguments of launch_grouped_gemm. All pointers are device memory.
struct GroupedGemmParams {
  const int32_t* offsets = nullptr;      ///< [experts + 1], or null: one expert has every row
  const CUtensorMap* weights = nullptr;  ///< [experts], of [N, K], boxes of kWeightBox rows
  /// Of e4m3 operands: [experts] of [N], and [rows].
  const float* const* weight_scales = nullptr;
  const float* x_scales = nullptr;
  void* out = nullptr;         ///< [rows, N] bf16 or f32, aligned to 16 bytes, written
  int32_t* counter = nullptr;  ///< one word, 0 before and after
  DType out_type = DType::kBf16;
  int64_t rows = 0;  ///< S
  int experts = 0;   ///< at most kMaxGemmExperts
  int n = 0;         ///< N, a multiple of 8
  int k = 0;         ///< K, a multiple of 8 (bf16) or 16 (e4m3)
};

constexpr int kMaxGemmExperts = 256;
constexpr int kRowBox = 64;      ///< rows of x that one copy moves
constexpr int kWeightBox = 128;  ///< rows of a weight that one copy moves

/// Descriptor of a matrix [rows, cols] of bf16 or e4m3 whose copies move 128 bytes of `box` rows.
CUtensorMap make_matrix_map(const void* data, DType type, int64_t rows, int64_t cols, int box);

/// out = x Wᵀ for the rows of each expert, `x` being the map of [rows, K] with boxes of kRowBox,
/// on `blocks` blocks (one a
/// multiprocessor), queued on `stream`. Throws kDevice.
void launch_grouped_gemm(const GroupedGemmParams& params, const CUtensorMap& x, int blocks,
                         cudaStream_t stream);
/// The same with e4m3 operands: each output is scaled by its row's and its weight row's scale.
void launch_grouped_gemm_fp8(const GroupedGemmParams& params, const CUtensorMap& x, int blocks,
                             cudaStream_t stream);

}  // namespace mm::cuda
