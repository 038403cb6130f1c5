/// Lightning attention of one new row per sequence: head size 128, state at the last block boundary
/// and a tail.
#pragma once

#include "ops/cuda/lightning_attention.h"
#include "ops/cuda/queue.h"

namespace mm::cuda {

/// Whether launch_lightning_decode can run this: head size 128, contiguous channels aligned to 16
/// bytes.
bool fits_lightning_decode(const LightningParams& params);

/// Meant for one row a sequence and right for any number. Reads state and tail once, appends the
/// row to the tail and folds the tail into the state when the block fills. Throws kDevice.
void launch_lightning_decode(const LightningParams& params, Queue queue);

}  // namespace mm::cuda
