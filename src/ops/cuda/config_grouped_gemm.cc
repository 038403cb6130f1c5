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

CUtensorMap make_row_map(const void* data, DType type, int64_t rows, int64_t cols) {
  return make_matrix_map(data, type, rows, cols, kRowBox);
}

CUtensorMap make_weight_map(const void* data, DType type, int64_t rows, int64_t cols) {
  return make_matrix_map(data, type, rows, cols, 128);
}

CUtensorMap make_gated_map(const void* first, const void* second, DType type, int64_t rows,
                           int64_t cols) {
  const int64_t distance =
      (static_cast<const char*>(second) - static_cast<const char*>(first)) / size_of(type);
  TensorMapSpec spec;
  spec.data = first;
  spec.dtype = type;
  spec.rank = 4;
  spec.sizes = {cols, kGatedRows, 2, rows / kGatedRows};
  spec.strides = {1, cols, distance, kGatedRows * cols};
  spec.box = {static_cast<int>(128 / size_of(type)), kGatedRows, 2, 64 / kGatedRows};
  return make_tensor_map(spec);
}

}  // namespace mm::cuda
