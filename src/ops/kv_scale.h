/// Keys and values kept as 8-bit codes: value = scale · code, with one scale for each row of K
/// channels (a token's keys, or its values, of one kv head). A row's scale comes from that row
/// alone and is fixed when it is stored: what is kept of a token never depends on later ones.
#pragma once

#include "tensor/dtype.h"

namespace mm {

/// The code that a row's largest magnitude becomes. `pages` is kI8 or kF8E4M3.
inline float largest_kv_code(DType pages) {
  return pages == DType::kI8 ? 127.0f : 448.0f;
}

/// The scale of a row with this largest magnitude. Zero rows, and rows so small that the quotient
/// is zero, have scale 1 and codes of zero. If the row holds an infinity or NaN, so is the scale,
/// and with codes of zero the whole row reads as NaN.
inline float kv_scale(float largest, DType pages) {
  const float scale = largest / largest_kv_code(pages);
  return scale == 0 ? 1.0f : scale;
}

}  // namespace mm
