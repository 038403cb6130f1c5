/// Products of rows grouped by expert on Hopper: bf16 or e4m3 operands, sums in f32, products by
/// wgmma.
#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace mm::cuda {

/// The weights of one expert: a matrix [N, K], or of a gated product two of one shape.
struct GemmWeights {
  CUtensorMap map;                       ///< make_weight_map, make_gated_map
  const float* scales;                   ///< [N] f32, of codes; else null
  const float* second_scales = nullptr;  ///< [N] f32, of the second matrix
  bool second_is_gate = false;           ///< else the first is
};

/// Arguments of launch_grouped_gemm. All pointers are device memory.
struct GroupedGemmParams {
  const int32_t* offsets = nullptr;      ///< [experts + 1], or null: one expert has every row
  const GemmWeights* weights = nullptr;  ///< [experts]
  const float* x_scales = nullptr;       ///< [rows] f32, of e4m3
  bool gated = false;                    ///< out = silu(x gateᵀ) · (x upᵀ), in bf16
  bool silu = false;                     ///< out = silu(x Wᵀ), of a product that is not gated
  void* out = nullptr;                   ///< [rows, N] bf16 or f32, aligned to 16 bytes, written
  int32_t* counter = nullptr;            ///< one word, 0 before and after
  DType out_type = DType::kBf16;
  int64_t rows = 0;   ///< S
  int experts = 0;    ///< at most kMaxGemmExperts
  int tile_rows = 0;  ///< grouped_tile_rows(), a multiple of 8
  int n = 0;          ///< N, a multiple of 8
  int k = 0;          ///< K, a multiple of 8 (bf16) or 16 (e4m3)
};

constexpr int kMaxGemmExperts = 256;
constexpr int kBf16TileRows = 192;  ///< of a tile, at most
constexpr int kFp8TileRows = 136;
constexpr int kGemmTileOutputs = 256;  ///< of a tile; of a gated product, half as many

/// Most rows of a tile: as many as registers hold sums for, fewer where that gives some of
/// `multiprocessors` no tile.
int grouped_tile_rows(const GroupedGemmParams& params, DType x_type, int multiprocessors);

constexpr int kRowBox = 64;    ///< rows of x that the largest copy moves
constexpr int kRowBoxes = 4;   ///< sizes of copies: 64, 32, 16 and 8 rows
constexpr int kGatedRows = 8;  ///< neighbouring rows of one matrix in a copy from two

/// Descriptors of x whose copies move 128 bytes of kRowBox >> i rows: any multiple of 8 is a few.
struct RowMaps {
  CUtensorMap of[kRowBoxes];
};

/// Of rows [rows, cols] of x, and of a weight [rows, cols] whose copies move 128 bytes of 256 rows;
/// bf16 or e4m3.
RowMaps make_row_maps(const void* data, DType type, int64_t rows, int64_t cols);
CUtensorMap make_weight_map(const void* data, DType type, int64_t rows, int64_t cols);
/// Of two weights [rows, cols], rows a multiple of 2 kGatedRows, `first` at the lower address:
/// copies move 128 bytes of 64 rows of each, kGatedRows of the first, then of the second, and so
/// on; of these sixteens first those with an even number, then the odd ones.
CUtensorMap make_gated_map(const void* first, const void* second, DType type, int64_t rows,
                           int64_t cols);

/// out = x Wᵀ for the rows of each expert, `x` being the maps of [rows, K], on `blocks`
/// blocks (one a multiprocessor), queued on `stream`. Throws kDevice.
void launch_grouped_gemm(const GroupedGemmParams& params, const RowMaps& x, int blocks,
                         cudaStream_t stream);
/// The same with e4m3 operands: each output is scaled by its row's and its weight row's scale.
void launch_grouped_gemm_fp8(const GroupedGemmParams& params, const RowMaps& x, int blocks,
                             cudaStream_t stream);

}  // namespace mm::cuda
