#include "ops/cuda/skinny_linear.h"

namespace mm::cuda {

// Beyond 16 rows an expert on average, tiles of the large product are filled well enough, and a
// second pass over the weights of a crowded expert would cost more than they waste.
constexpr int64_t kRowsPerExpert = 16;

bool fits_skinny_linear(const LinearParams& p) {
  const bool alike = (p.x_type == DType::kBf16 && p.shape.kind == WeightKind::kBf16) ||
                     (p.x_type == DType::kF8E4M3 && p.shape.kind == WeightKind::kFp8);
  return alike && p.shape.cols * size_of(p.x_type) % 16 == 0 &&
         reinterpret_cast<uintptr_t>(p.x) % 16 == 0;
}

bool prefers_skinny_linear(const LinearParams& p) {
  return p.rows <= kRowsPerExpert * p.experts;
}

}  // namespace mm::cuda
