/// Element by element ops on a CUDA device: cast, silu and the gates.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace mm::cuda {

enum class ElementwiseOp {
  kCast,        ///< out = a
  kSilu,        ///< out = a · sigmoid(a)
  kSiluMul,     ///< out = a · sigmoid(a) · b
  kSigmoidMul,  ///< out = sigmoid(a) · b
};

/// Arguments of launch_elementwise. All pointers are device memory; `out` may be `a`.
struct ElementwiseParams {
  const void* a = nullptr;   ///< [count] f32 or bf16
  const float* b = nullptr;  ///< [count] f32, for the gates
  void* out = nullptr;       ///< [count] f32 or bf16, written
  DType a_type = DType::kF32;
  DType out_type = DType::kF32;
  int64_t count = 0;  ///< elements, > 0
};

/// Computes `op` for every element, queued on `stream`. Throws kDevice.
void launch_elementwise(ElementwiseOp op, const ElementwiseParams& params, cudaStream_t stream);

}  // namespace mm::cuda
