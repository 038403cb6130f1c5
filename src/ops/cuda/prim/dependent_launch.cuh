/// Kernels that begin before the one before them has ended (programmatic dependent launch): its
/// last blocks hide the launch, the start of the blocks and the first reads of weights.
///
/// The rule of every kernel that launch_kernel() queues:
///   1. let_next_start() is the first thing that every thread does; in a kernel that keeps memory
///      busy for long the last, since those that wait would ask for their weights beside it.
///   2. What follows touches no global memory: it sets up barriers and shared memory, computes from
///      arguments, and may ask for weights to come to L2 (prim/prefetch.cuh). Nothing else is a
///      weight: offsets, tables, positions, slots, cache and scratch are written in the step.
///   3. wait_for_previous() in every thread, on every path: then all kernels queued before have
///      ended and their writes are seen. Only now memory is read, and written.
/// A kernel ends after its wait, so when it has ended all before it have: waiting for one waits for
/// all, however many have begun. Blocks begin when every block before them has begun, so those that
/// wait take no place from those that work.
/// A kernel launched in the usual way waits for all before it and is waited for as a whole; such
/// ones, copies and the kernels of libraries may stand anywhere between.
/// tests/ops/cuda/overlap_test.cc holds every verb to the rule.
#pragma once

#include <cuda_runtime.h>

#include <utility>

#include "ops/cuda/check.h"
#include "ops/cuda/queue.h"

namespace mm::cuda {

/// Lets the next kernel begin once all blocks of this one have come here.
__device__ inline void let_next_start() {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

/// Waits until the kernels before have ended and their writes are visible; at once in a kernel that
/// was launched in full order.
__device__ inline void wait_for_previous() {
  asm volatile("griddepcontrol.wait;" ::: "memory");
}

struct LaunchShape {
  dim3 blocks;
  unsigned threads = 0;  ///< of a block
  size_t shared = 0;     ///< bytes of dynamic shared memory of a block
};

/// Queues a kernel that keeps the rule above. Throws kDevice.
template <typename... Parameters, typename... Arguments>
void launch_kernel(void (*kernel)(Parameters...), const LaunchShape& shape, const Queue& queue,
                   Arguments&&... arguments) {
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = shape.blocks;
  config.blockDim = dim3(shape.threads);
  config.dynamicSmemBytes = shape.shared;
  config.stream = queue.stream;
  config.attrs = &overlap;
  config.numAttrs = queue.overlap ? 1 : 0;
  const cudaError_t status =
      cudaLaunchKernelEx(&config, kernel, std::forward<Arguments>(arguments)...);
  cudaGetLastError();  // reported here, not by a later call
  MM_CUDA(status);
}

}  // namespace mm::cuda
