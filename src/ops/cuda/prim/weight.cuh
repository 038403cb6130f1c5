/// Decoding one element of a stored weight matrix.
#pragma once

#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/weight_ref.h"

namespace mm::cuda {

template <WeightKind Kind>
__device__ float decode(const WeightRef& w, const WeightShape& shape, int64_t row, int64_t col) {
  const int64_t at = row * shape.cols + col;
  if constexpr (Kind == WeightKind::kF32) {
    return static_cast<const float*>(w.data)[at];
  } else if constexpr (Kind == WeightKind::kBf16) {
    return to_f32(static_cast<const bf16*>(w.data)[at]);
  } else if constexpr (Kind == WeightKind::kF16) {
    return to_f32(static_cast<const __half*>(w.data)[at]);
  } else if constexpr (Kind == WeightKind::kInt8) {
    return static_cast<const float*>(w.scales)[row] *
           static_cast<float>(static_cast<const int8_t*>(w.data)[at]);
  } else if constexpr (Kind == WeightKind::kFp8) {
    return static_cast<const float*>(w.scales)[row] *
           to_f32(static_cast<const __nv_fp8_e4m3*>(w.data)[at]);
  } else {
    const uint32_t word = static_cast<const uint32_t*>(w.data)[at / 8];
    const int code = static_cast<int>(word >> (4 * (col % 8)) & 15U) - 8;
    const int64_t group = row * (shape.cols / shape.group) + col / shape.group;
    if constexpr (Kind == WeightKind::kInt4F32) {
      return static_cast<const float*>(w.scales)[group] * static_cast<float>(code);
    } else {
      return to_f32(static_cast<const bf16*>(w.scales)[group]) * static_cast<float>(code);
    }
  }
}

/// Calls `f` with the kind as a compile-time constant.
template <WeightKind Kind>
struct KindTag {
  static constexpr WeightKind value = Kind;
};
template <typename F>
void visit_kind(WeightKind kind, F&& f) {
  switch (kind) {
    case WeightKind::kF32:
      return f(KindTag<WeightKind::kF32>{});
    case WeightKind::kBf16:
      return f(KindTag<WeightKind::kBf16>{});
    case WeightKind::kF16:
      return f(KindTag<WeightKind::kF16>{});
    case WeightKind::kInt8:
      return f(KindTag<WeightKind::kInt8>{});
    case WeightKind::kFp8:
      return f(KindTag<WeightKind::kFp8>{});
    case WeightKind::kInt4F32:
      return f(KindTag<WeightKind::kInt4F32>{});
    case WeightKind::kInt4Bf16:
      return f(KindTag<WeightKind::kInt4Bf16>{});
  }
}

}  // namespace mm::cuda
