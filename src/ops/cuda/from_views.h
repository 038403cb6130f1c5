/// From the tensors of a verb to the plain structs of kernels. Host only.
#pragma once

#include "ops/backend.h"
#include "ops/cuda/views.h"
#include "ops/cuda/weight_ref.h"

namespace mm::cuda {

static_assert(kBlock == kBlockTokens);

/// Kind and sizes. Throws kInternal for a type no kernel reads.
WeightShape shape_of(const Weight& weight);

inline WeightRef ref_of(const Weight& weight) {
  return {weight.data.data, weight.scales.data};
}

inline HeadRows head_rows(const TensorView& view) {
  return {view.data, view.dtype, view.stride(0), view.stride(1)};
}

inline RaggedRows ragged_rows(const Ragged& rows, int64_t total) {
  return {rows.offsets.ptr<int32_t>(), rows.starts.ptr<int32_t>(),
          static_cast<int>(rows.starts.dim(0)), total};
}

inline Pages pages_of(const PagedKv& kv) {
  Pages pages;
  pages.data = kv.pages.data;
  pages.dtype = kv.pages.dtype;
  pages.scales = kv.scales.empty() ? nullptr : kv.scales.ptr<float>();
  pages.table = kv.block_table.ptr<int32_t>();
  pages.table_stride = kv.block_table.stride(0);
  pages.blocks = kv.block_table.dim(1);
  pages.pages = kv.pages.dim(0);
  pages.heads = static_cast<int>(kv.pages.dim(1));
  pages.size = static_cast<int>(kv.pages.dim(4));
  return pages;
}

}  // namespace mm::cuda
