/// Products with stored weights on a CUDA device, in f32: any type, any size.
#pragma once

#include "ops/cuda/queue.h"
#include "ops/cuda/weight_ref.h"
#include "tensor/dtype.h"

namespace mm::cuda {

/// Most experts of one call: their pointers travel as a kernel argument.
constexpr int kMaxExperts = 256;

/// One matrix per expert; a plain product has one.
struct ExpertWeights {
  WeightRef at[kMaxExperts];
};

/// Arguments of launch_linear. All pointers are device memory.
struct LinearParams {
  const void* x = nullptr;  ///< [rows, K] f32 or bf16; launch_skinny_linear: bf16 or e4m3
  void* out = nullptr;      ///< [rows, N] f32 or bf16, written
  DType x_type = DType::kF32;
  DType out_type = DType::kF32;
  int64_t rows = 0;                  ///< > 0
  const int32_t* offsets = nullptr;  ///< [experts + 1], or null: one expert has every row
  int experts = 1;
  WeightShape shape;                ///< of each matrix, [N, K]
  const float* x_scales = nullptr;  ///< [rows], of e4m3
  bool silu = false;                ///< wanted of the sums; no kernel of this struct makes it
};

/// out = x Wᵀ with sums in f32, rows [offsets[e], offsets[e + 1]) with the matrix of expert e,
/// queued on `queue`. Throws kDevice.
void launch_linear(const LinearParams& params, const ExpertWeights& weights, Queue queue);

}  // namespace mm::cuda
