/// Encodes one matrix of any size in bounded memory, and measures what it loses.
#pragma once

#include <cstdint>
#include <string>

#include "base/function_ref.h"
#include "base/thread_pool.h"
#include "tensor/quant.h"

namespace mm {

/// Σ (w - ŵ)², Σ w² and max |w - ŵ| over some rows, ŵ being what readers decode.
struct QuantizeError {
  double square = 0;
  double reference = 0;
  double largest = 0;

  void add(const QuantizeError& other);
};

/// A float matrix and the format it is to have.
struct MatrixEncoder {
  TensorView source;                               ///< f32, bf16 or f16 [N, K], contiguous
  QuantFormat format = QuantFormat::kInt8Channel;  ///< int8, fp8 or int4
  int group_size = 0;                              ///< int4 only
  std::string name;                                ///< for errors

  /// Encodes slices of rows in order and hands each to `emit`, data and scales shaped as in
  /// quant.h. Rows are shared among threads; the result does not depend on how.
  /// Throws kBadInput when a weight is infinite or not a number.
  QuantizeError run(ThreadPool& pool,
                    FunctionRef<void(const TensorView& data, const TensorView& scales)> emit) const;
};

}  // namespace mm
