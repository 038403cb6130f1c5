#include "ops/cuda/few_outputs_linear.h"

namespace mm::cuda {

bool fits_few_outputs_linear(const LinearParams& p, const WeightRef& weight) {
  const auto bits = reinterpret_cast<uintptr_t>(p.x) | reinterpret_cast<uintptr_t>(weight.data);
  return p.offsets == nullptr && p.x_type == DType::kF32 && p.out_type == DType::kF32 &&
         p.shape.kind == WeightKind::kF32 && p.shape.rows <= 64 && p.shape.cols % 16 == 0 &&
         bits % 16 == 0;
}

}  // namespace mm::cuda
