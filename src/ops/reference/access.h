/// Element access for the reference ops: any number in, double out.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/quant.h"
#include "tensor/tensor.h"

namespace mm::reference {

/// The element `offset` elements after the view's first, as double.
inline double load(const TensorView& view, int64_t offset) {
  switch (view.dtype) {
    case DType::kF32:
      return static_cast<const float*>(view.data)[offset];
    case DType::kBf16:
      return to_float(static_cast<const BFloat16*>(view.data)[offset]);
    case DType::kF16:
      return to_float(static_cast<const Float16*>(view.data)[offset]);
    case DType::kF8E4M3:
      return to_float(static_cast<const Float8E4M3*>(view.data)[offset]);
    case DType::kI8:
      return static_cast<const int8_t*>(view.data)[offset];
    default:
      raise(ErrorKind::kInternal, "reference: {} is not an input type", to_string(view.dtype));
  }
}

/// Rounds `value` to the view's type and stores it `offset` elements after the first.
inline void store(const TensorView& view, int64_t offset, double value) {
  const float rounded = static_cast<float>(value);
  switch (view.dtype) {
    case DType::kF32:
      static_cast<float*>(view.data)[offset] = rounded;
      return;
    case DType::kBf16:
      static_cast<BFloat16*>(view.data)[offset] = to_bfloat16(rounded);
      return;
    case DType::kF8E4M3:
      static_cast<Float8E4M3*>(view.data)[offset] = to_float8_e4m3(rounded);
      return;
    case DType::kI8:
      static_cast<int8_t*>(view.data)[offset] =
          static_cast<int8_t>(std::nearbyint(std::clamp(rounded, -127.0f, 127.0f)));
      return;
    default:
      raise(ErrorKind::kInternal, "reference: {} is not an output type", to_string(view.dtype));
  }
}

/// Offset of row [t, h] of a [T, H, K] view.
inline int64_t head_offset(const TensorView& view, int64_t t, int64_t h) {
  return t * view.stride(0) + h * view.stride(1);
}

/// Row n of a weight, decoded exactly.
std::vector<double> decode_row(const Weight& w, int64_t n);

}  // namespace mm::reference
