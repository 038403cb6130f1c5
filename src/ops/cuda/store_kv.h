/// Writing keys and values into pages on a CUDA device.
#pragma once

#include "ops/cuda/queue.h"
#include "ops/cuda/views.h"

namespace mm::cuda {

/// Arguments of launch_store_kv. All pointers are device memory.
struct StoreKvParams {
  HeadRows k;  ///< [T, G, K]
  HeadRows v;  ///< [T, G, K]
  Pages kv;
  RaggedRows rows;
};

/// Copies each row to its position's page, rounding to the pages' type, queued on `queue`.
/// Positions without a page are left out. Throws kDevice.
void launch_store_kv(const StoreKvParams& params, Queue queue);

}  // namespace mm::cuda
