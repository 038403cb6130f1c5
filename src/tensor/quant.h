/// Weight formats: how a matrix [N, K] is packed. A plain float type is a format too.
#pragma once

#include <cstdint>

#include "tensor/tensor.h"

namespace mm {

enum class QuantFormat : uint8_t {
  kNone,         ///< data [N, K] in bf16, f16 or f32
  kInt8Channel,  ///< data i8 [N, K]; scales f32 [N, 1]; w = scale[n] · q
  kFp8Channel,   ///< data f8e4m3 [N, K]; scales f32 [N, 1]; w = scale[n] · q
  kInt4Group,    ///< data i32 [N, K/8]: element k is bits 4·(k mod 8) of word k/8, stored q + 8;
                 ///< scales bf16 or f32 [N, K/group_size]; w = scale[n][k/group] · q, q in [-8, 7]
};

/// "none", "int8", "fp8", "int4".
const char* to_string(QuantFormat format);

/// A matrix of weights as stored, used in products as y = x Wᵀ: `rows` outputs, `cols` inputs.
/// Borrows its memory. Source of the packed forms: the compressed-tensors conventions.
struct Weight {
  TensorView data;
  TensorView scales;  ///< empty for kNone
  QuantFormat format = QuantFormat::kNone;
  int group_size = 0;  ///< columns per scale (kInt4Group: 32, 64 or 128)
  int64_t rows = 0;    ///< N
  int64_t cols = 0;    ///< K

  /// A dense matrix of any float type.
  static Weight dense(const TensorView& matrix);
  /// Bytes that one use of the whole matrix reads.
  int64_t bytes() const { return data.bytes() + (scales.empty() ? 0 : scales.bytes()); }
  bool empty() const { return data.empty(); }
  /// Rows [begin, end): a view.
  Weight slice_rows(int64_t begin, int64_t end) const;
};

}  // namespace mm
