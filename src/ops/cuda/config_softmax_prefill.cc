#include "ops/cuda/softmax_prefill_sm90.h"
#include "ops/cuda/tensor_map.h"

namespace mm::cuda {
namespace {

constexpr int kSize = 128;

}  // namespace

bool fits_softmax_prefill(const SoftmaxParams& p) {
  return p.kv.size == kSize && p.kv.dtype == DType::kBf16 &&
         reinterpret_cast<uintptr_t>(p.kv.data) % 16 == 0;
}

CUtensorMap make_page_half_map(const Pages& pages) {
  TensorMapSpec spec;
  spec.data = pages.data;
  spec.rank = 2;
  spec.sizes = {kSize, pages.pages * pages.heads * 2 * kBlock};
  spec.strides = {1, kSize};
  spec.box = {64, kBlock};
  return make_tensor_map(spec);
}

}  // namespace mm::cuda
