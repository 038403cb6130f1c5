#include "ops/cuda/grouped_gemm_sm90.h"
#include "ops/cuda/tensor_map.h"

namespace mm::cuda {
namespace {

CUtensorMap make_matrix_map(const void* data, DType type, int64_t rows, int64_t cols, int box) {
  TensorMapSpec spec;
  spec.data = data;
  spec.dtype = type;
  spec.rank = 2;
  spec.sizes = {cols, rows};
  spec.strides = {1, cols};
  spec.box = {static_cast<int>(128 / size_of(type)), box};
  return make_tensor_map(spec);
}

}  // namespace

int grouped_tile_rows(const GroupedGemmParams& p, DType x_type, int multiprocessors) {
  const int64_t outputs = p.gated ? kGemmTileOutputs / 2 : kGemmTileOutputs;
  const int64_t across = (p.n + outputs - 1) / outputs;
  const int64_t rows = (p.rows + p.experts - 1) / p.experts;
  const auto tiles = [&](int64_t height) {
    return across * p.experts * ((rows + height - 1) / height);
  };
  int most = x_type == DType::kF8E4M3 ? kFp8TileRows : kBf16TileRows;
  for (const int fewer : {96, 64, 32}) {
    if (tiles(most) < multiprocessors)
      most = fewer;
  }
  return most;
}

RowMaps make_row_maps(const void* data, DType type, int64_t rows, int64_t cols) {
  RowMaps maps;
  for (int i = 0; i < kRowBoxes; ++i)
    maps.of[i] = make_matrix_map(data, type, rows, cols, kRowBox >> i);
  return maps;
}

CUtensorMap make_weight_map(const void* data, DType type, int64_t rows, int64_t cols) {
  return make_matrix_map(data, type, rows, cols, 256);
}

CUtensorMap make_gated_map(const void* first, const void* second, DType type, int64_t rows,
                           int64_t cols) {
  const int64_t distance =
      (static_cast<const char*>(second) - static_cast<const char*>(first)) / size_of(type);
  TensorMapSpec spec;
  spec.data = first;
  spec.dtype = type;
  spec.rank = 5;
  spec.sizes = {cols, kGatedRows, 2, rows / (2 * kGatedRows), 2};
  spec.strides = {1, cols, distance, 2 * kGatedRows * cols, kGatedRows * cols};
  spec.box = {static_cast<int>(128 / size_of(type)), kGatedRows, 2, 64 / (2 * kGatedRows), 2};
  return make_tensor_map(spec);
}

}  // namespace mm::cuda
