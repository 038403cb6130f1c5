#include <algorithm>

#include "ops/cuda/softmax_decode.h"
#include "ops/cuda/tensor_map.h"

namespace mm::cuda {
namespace {

constexpr int kSize = 128;
constexpr int kMostHeads = 8;       // query heads of a key/value head
constexpr int64_t kLeastPages = 4;  // of a part: below, joining costs more than it gains
constexpr int kAlikeSplits = 16;    // 8 key/value heads of one sequence: a block a multiprocessor
constexpr int64_t kPartFloats = kMostHeads * (kSize + 2);

int64_t units_of(const SoftmaxParams& p) {
  return std::max<int64_t>(1, p.rows.total * p.kv.heads);
}

SoftmaxDecodeConfig with_splits(const SoftmaxParams& p, int64_t splits) {
  return {static_cast<int>(splits),
          units_of(p) * splits * kPartFloats * static_cast<int64_t>(sizeof(float))};
}

}  // namespace

bool fits_softmax_decode(const SoftmaxParams& p) {
  return has_fast_pages(p) && p.heads <= kMostHeads * p.kv.heads;
}

SoftmaxDecodeConfig config_softmax_decode(const SoftmaxParams& p, int multiprocessors) {
  const int64_t wanted = (2 * static_cast<int64_t>(multiprocessors)) / units_of(p);
  const int64_t most = std::max<int64_t>(1, p.kv.blocks / kLeastPages);
  return with_splits(p, std::clamp<int64_t>(wanted, 1, most));
}

SoftmaxDecodeConfig config_softmax_decode_alike(const SoftmaxParams& p) {
  return with_splits(p, kAlikeSplits);
}

CUtensorMap make_page_map(const Pages& pages) {
  TensorMapSpec spec;
  spec.data = pages.data;
  spec.dtype = pages.dtype;
  spec.rank = 3;
  const auto panel = static_cast<int>(128 / size_of(pages.dtype));  // channels
  spec.sizes = {panel, pages.pages * pages.heads * 2 * kBlock, kSize / panel};
  spec.strides = {1, kSize, panel};
  spec.box = {panel, kBlock, kSize / panel};
  return make_tensor_map(spec);
}

}  // namespace mm::cuda
