#include "ops/cuda/lightning_prefill_sm90.h"
#include "ops/cuda/tensor_map.h"

namespace mm::cuda {
namespace {

constexpr int64_t kSize = 128;  // of a head

bool fits(const HeadRows& rows) {
  return rows.dtype == DType::kBf16 && is_aligned(rows);
}

// Axes: channel within 128 bytes, row, group of 128 bytes, head.
TensorMapSpec rows_spec(const LightningParams& p, const HeadRows& rows, int groups) {
  const int64_t width = 128 / size_of(rows.dtype);
  TensorMapSpec spec;
  spec.data = rows.data;
  spec.dtype = rows.dtype;
  spec.rank = 4;
  spec.sizes = {width, p.rows.total, kSize / width, p.heads};
  spec.strides = {1, rows.row_stride, width, rows.head_stride};
  spec.box = {static_cast<int>(width), kBlock, groups, 1};
  return spec;
}

}  // namespace

bool fits_lightning_prefill(const LightningParams& p) {
  return p.size == kSize && p.tail_type == DType::kBf16 && fits(p.q) && fits(p.k) && fits(p.v);
}

LightningMaps make_lightning_maps(const LightningParams& p) {
  const HeadRows out{p.out, p.out_type, p.heads * kSize, kSize};
  return {make_tensor_map(rows_spec(p, p.q, 2)), make_tensor_map(rows_spec(p, p.k, 2)),
          make_tensor_map(rows_spec(p, p.v, 1)),
          make_tensor_map(rows_spec(p, out, p.out_type == DType::kF32 ? 2 : 1))};
}

}  // namespace mm::cuda
