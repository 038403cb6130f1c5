#include "ops/cuda/softmax_prefill_sm90.h"
#include "ops/cuda/tensor_map.h"

namespace mm::cuda {
namespace {

constexpr int kSize = 128;

}  // namespace

bool fits_softmax_prefill(const SoftmaxParams& p) {
  return has_fast_pages(p) && is_aligned(p.q);
}

CUtensorMap make_page_half_map(const Pages& pages) {
  TensorMapSpec spec;
  spec.data = pages.data;
  spec.dtype = pages.dtype;
  spec.rank = 2;
  spec.sizes = {kSize, pages.pages * pages.heads * 2 * kBlock};
  spec.strides = {1, kSize};
  spec.box = {static_cast<int>(128 / size_of(pages.dtype)), kBlock};
  return make_tensor_map(spec);
}

}  // namespace mm::cuda
