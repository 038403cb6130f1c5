#include "ops/cuda/lightning_decode.h"

namespace mm::cuda {
bool fits_lightning_decode(const LightningParams& p) {
  const auto bits = reinterpret_cast<uintptr_t>(p.tail_k) | reinterpret_cast<uintptr_t>(p.tail_v) |
                    reinterpret_cast<uintptr_t>(p.states);
  return p.size == 128 && bits % 16 == 0 && is_aligned(p.q) && is_aligned(p.k) && is_aligned(p.v);
}

}  // namespace mm::cuda
