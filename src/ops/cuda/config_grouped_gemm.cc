#include "ops/cuda/grouped_gemm_sm90.h"
#include "ops/cuda/tensor_map.h"

namespace mm::cuda {

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

}  // namespace mm::cuda
