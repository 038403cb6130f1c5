#include "ops/cuda/lightning_decode.h"

namespace mm::cuda {
namespace {

bool is_aligned(const HeadRows& rows) {
  const int64_t size = size_of(rows.dtype);
  return reinterpret_cast<uintptr_t>(rows.data) % 16 == 0 && rows.row_stride * size % 16 == 0 &&
         rows.head_stride * size % 16 == 0;
}

}  // namespace

bool fits_lightning_decode(const LightningParams& p) {
  const auto bits = reinterpret_cast<uintptr_t>(p.tail_k) | reinterpret_cast<uintptr_t>(p.tail_v) |
                    reinterpret_cast<uintptr_t>(p.states);
  return p.size == 128 && bits % 16 == 0 && is_aligned(p.q) && is_aligned(p.k) && is_aligned(p.v);
}

}  // namespace mm::cuda
