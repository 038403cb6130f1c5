/// Lightning attention of long steps on Hopper: head size 128, bf16 operands, products by wgmma.
#pragma once

#include <cuda.h>

#include "ops/cuda/lightning_attention.h"

namespace mm::cuda {

/// Descriptors of a step's tensors for the copy engine.
struct LightningMaps {
  CUtensorMap q, k;  ///< boxes of 64 rows × 128 channels of a head
  CUtensorMap v;     ///< boxes of 64 rows × 64 channels
  CUtensorMap out;   ///< boxes of 64 rows × 64 channels
};

/// Whether launch_lightning_prefill can run this: head size 128, bf16 inputs and tail, and strides
/// the copy engine takes. Slopes must be at most 2, which no caller can see here: a model's are at
/// most 1 (docs/numerics.md).
bool fits_lightning_prefill(const LightningParams& params);

/// Throws kInternal when the tensors do not fit.
LightningMaps make_lightning_maps(const LightningParams& params);

/// The rows of each sequence from its first block boundary on; queue launch_lightning_plain with
/// kToBoundary before it. Throws kDevice.
void launch_lightning_prefill(const LightningParams& params, const LightningMaps& maps,
                              cudaStream_t stream);

}  // namespace mm::cuda
