#include "ops/cuda/narrow_linear.h"

namespace mm::cuda {
namespace {

// A tile of launch_linear takes 64 rows; up to four passes over the weights cost less than it
// wastes.
constexpr int64_t kRowsPerExpert = 32;

/// Weights in 16 bytes, what a lane loads at once.
int64_t weights_per_load(WeightKind kind) {
  switch (kind) {
    case WeightKind::kF32:
      return 4;
    case WeightKind::kBf16:
    case WeightKind::kF16:
      return 8;
    case WeightKind::kInt8:
    case WeightKind::kFp8:
      return 16;
    case WeightKind::kInt4F32:
    case WeightKind::kInt4Bf16:
      return 32;
  }
  return 0;
}

}  // namespace

bool fits_narrow_linear(const LinearParams& p, const ExpertWeights& weights) {
  const int64_t each = weights_per_load(p.shape.kind);
  auto bits = reinterpret_cast<uintptr_t>(p.x);
  for (int e = 0; e < p.experts; ++e) bits |= reinterpret_cast<uintptr_t>(weights.at[e].data);
  return bits % 16 == 0 && p.shape.cols % each == 0 &&
         (p.shape.group == 0 || p.shape.group % each == 0);
}

bool prefers_narrow_linear(const LinearParams& p) {
  return p.rows <= kRowsPerExpert * p.experts;
}

}  // namespace mm::cuda
