/// One step of the residual stream on a CUDA device: mixture, scaled sum, norm and rounding in one
/// pass over memory.
#pragma once

#include <cstdint>

#include "ops/cuda/queue.h"
#include "tensor/dtype.h"

namespace mm::cuda {

/// Arguments of launch_add_residual. All pointers are device memory.
struct AddResidualParams {
  const float* residual = nullptr;  ///< [tokens, width] f32
  const void* branch = nullptr;     ///< [branch_rows, width] f32 or bf16; null: nothing is added
  DType branch_type = DType::kF32;
  int64_t branch_rows = 0;
  const int32_t* positions = nullptr;  ///< [tokens, choices]: rows of the branch; null: one each
  const float* weights = nullptr;      ///< [tokens, choices] f32
  int choices = 0;
  float alpha = 1;
  float beta = 1;
  const int32_t* only = nullptr;  ///< [rows], tokens; null: token t is row t
  int64_t tokens = 0;             ///< rows of residual, positions and weights
  float* sum = nullptr;           ///< [rows, width] f32, written; may be residual, or null
  const float* weight = nullptr;  ///< [width] f32; null: no norm
  float eps = 0;
  float* normed = nullptr;  ///< [rows, width] f32, written; may be residual
  void* input = nullptr;    ///< [rows, width] f32 or bf16, written; or null
  DType input_type = DType::kF32;
  int64_t rows = 0;   ///< to make, > 0
  int64_t width = 0;  ///< > 0, at most kMostResidualWidth
};

/// A row waits in shared memory for its sum of squares.
constexpr int64_t kMostResidualWidth = 40 * 1024;

/// sum = alpha · residual + beta · branch, normed = weight · sum / sqrt(mean(sum²) + eps), input =
/// normed with rounding, where the branch of a token is its row, or Σ_a weights[a] ·
/// branch[positions[a]] in order of a. A token outside the residual gives zeros. Queued on
/// `stream`. Throws kDevice.
void launch_add_residual(const AddResidualParams& params, Queue queue);

}  // namespace mm::cuda
