/// Rows of the embedding on a CUDA device.
#pragma once

#include "ops/cuda/queue.h"
#include "ops/cuda/weight_ref.h"

namespace mm::cuda {

/// Arguments of launch_embed. All pointers are device memory.
struct EmbedParams {
  const int32_t* ids = nullptr;  ///< [tokens]
  WeightRef table;               ///< [V, D]
  WeightShape shape;
  float* out = nullptr;  ///< f32 [tokens, D], written
  int64_t tokens = 0;    ///< > 0
};

/// out[t] = table[ids[t]], queued on `queue`; an id outside the table gives a row of zeros.
/// Throws kDevice.
void launch_embed(const EmbedParams& params, Queue queue);

}  // namespace mm::cuda
