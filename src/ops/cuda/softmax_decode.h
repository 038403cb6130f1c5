/// Softmax attention of few rows over long pages: head size 128, pages of bf16 or codes, keys split
/// over blocks.
#pragma once

#include <cuda.h>

#include "ops/cuda/queue.h"
#include "ops/cuda/softmax_attention.h"

namespace mm::cuda {

/// How a step's keys are split over blocks of threads.
struct SoftmaxDecodeConfig {
  int splits = 1;               ///< parts of each sequence's keys
  int64_t workspace_bytes = 0;  ///< for the parts' results
};

/// Whether launch_softmax_decode can run this: fast pages, at most 8 query heads a key/value head.
bool fits_softmax_decode(const SoftmaxParams& params);

/// About two blocks a multiprocessor, but no part shorter than 4 pages where the table ends.
SoftmaxDecodeConfig config_softmax_decode(const SoftmaxParams& params, int multiprocessors);

/// The same parts whatever the other rows, the table or the device: a row's bits depend on its own
/// keys alone.
SoftmaxDecodeConfig config_softmax_decode_alike(const SoftmaxParams& params);

/// Descriptor of the pages for the copy engine: boxes of 64 rows × 128 channels, in panels of 128
/// bytes. Throws kInternal.
CUtensorMap make_page_map(const Pages& pages);

/// Attends for each row on its own; `workspace` has config.workspace_bytes. Results do not depend
/// on other rows. Throws kDevice.
void launch_softmax_decode(const SoftmaxParams& params, const SoftmaxDecodeConfig& config,
                           const CUtensorMap& pages, void* workspace, Queue queue);

}  // namespace mm::cuda
