/// Where kernels are queued.
#pragma once

#include <cuda_runtime_api.h>

namespace mm::cuda {

/// A stream, and whether kernels on it may begin before the one before them has ended
/// (prim/dependent_launch.cuh). A stream alone is one on which they may not.
struct Queue {
  cudaStream_t stream = nullptr;
  bool overlap = false;

  Queue(cudaStream_t s, bool o = false)  // NOLINT(google-explicit-constructor): see above
      : stream(s), overlap(o) {}
  // NOLINTNEXTLINE(google-explicit-constructor): for kernels that are always launched in full order
  operator cudaStream_t() const { return stream; }

  /// The same stream for a kernel that waits for all before it.
  Queue in_order() const { return {stream, false}; }
};

}  // namespace mm::cuda
