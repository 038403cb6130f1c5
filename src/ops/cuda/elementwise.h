/// Element by element ops on a CUDA device: cast, silu and the gates.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "ops/cuda/queue.h"
#include "ops/cuda/views.h"

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

/// Computes `op` for every element, queued on `queue`. Throws kDevice.
void launch_elementwise(ElementwiseOp op, const ElementwiseParams& params, Queue queue);

/// Arguments of launch_round_rows. All pointers are device memory.
struct RoundRowsParams {
  HeadRows x;          ///< f32 [rows, heads, size]
  void* to = nullptr;  ///< bf16 [rows, heads, size] contiguous, written
  int64_t rows = 0;    ///< > 0
  int heads = 0;
  int size = 0;  ///< a multiple of 4
};

/// Rounds strided f32 rows to contiguous bf16 ones, queued on `queue`. Throws kDevice.
void launch_round_rows(const RoundRowsParams& params, cudaStream_t stream);

}  // namespace mm::cuda
