/// Integer weights as bf16 on a CUDA device, for products of many rows.
#pragma once

#include <cuda_runtime_api.h>

#include "ops/cuda/weight_ref.h"

namespace mm::cuda {

/// Arguments of launch_decode_weights. All pointers are device memory.
struct DecodeWeightsParams {
  WeightRef weight;    ///< aligned to 8 bytes
  WeightShape shape;   ///< kInt8, kInt4F32 or kInt4Bf16; columns a multiple of 8
  void* to = nullptr;  ///< [rows, cols] bf16, aligned to 16 bytes, written
};

/// int8: the codes, exactly; their rows' scales are left to the product. int4: scale · code,
/// rounded to bf16. Queued on `stream`. Throws kDevice.
void launch_decode_weights(const DecodeWeightsParams& params, cudaStream_t stream);

}  // namespace mm::cuda
