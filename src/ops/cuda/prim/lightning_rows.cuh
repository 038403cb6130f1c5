/// A sequence's share of a lightning step.
#pragma once

#include "ops/cuda/lightning_attention.h"

namespace mm::cuda {

/// Rows [first, first + count) of the step at positions [start, …), cache row `slot`.
struct LightningSpan {
  int64_t first = 0;
  int64_t count = 0;
  int64_t start = 0;
  int64_t slot = 0;
};

/// Sequence n of the step; empty when its slot does not exist.
__device__ inline LightningSpan lightning_span(const LightningParams& p, int n) {
  LightningSpan span;
  span.first = p.rows.offsets[n];
  span.count = p.rows.offsets[n + 1] - span.first;
  span.start = p.rows.starts[n];
  span.slot = p.slots[n];
  if (span.slot < 0 || span.slot >= p.num_slots)
    span.count = 0;
  return span;
}

/// Rows until the next block boundary: 0 at a boundary.
__device__ inline int64_t rows_to_boundary(int64_t start) {
  return (kBlock - start % kBlock) % kBlock;
}

}  // namespace mm::cuda
