/// The CUDA backend: every verb of ops/backend.h on one stream of one device.
#pragma once

#include <memory>

#include "ops/backend.h"

namespace mm {

struct CudaOptions {
  int device = 0;           ///< index of the device
  bool vendor_blas = true;  ///< dense bf16 products by cuBLASLt where it is installed
  bool plain = false;       ///< only the kernels that sum in f32: slow, closest to the reference
  /// No cuBLASLt, kernels chosen by what a step is (StepAware) and not by its rows, softmax split
  /// alike for all: a row's bits depend on its own sequence alone (docs/numerics.md).
  bool deterministic = false;
  /// Kernels may begin while the one before them ends (prim/dependent_launch.cuh). Results are the
  /// same bit for bit.
  bool overlap = true;
  /// The cudaStream_t to queue on, one that is ordered with the default stream and outlives the
  /// backend; null: one of its own.
  void* stream = nullptr;
};

/// Throws kUnsupported, in a sentence, unless `device` is one that make_cuda_backend can use.
void check_cuda_backend(int device);
/// Whether it is. False without a driver and in a build without CUDA.
bool has_cuda_backend(int device);

/// Makes a backend whose tensors live on cuda:`device`. Verbs queue work and return; copy_bytes
/// (tensor/device.h) waits for it. Nothing is allocated in a step once a step of the same size has
/// run. Values that point outside a tensor (token ids, pages, slots, experts) are skipped or read
/// as zero. The device must have compute capability 9.0: throws as check_cuda_backend().
std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options);

}  // namespace mm
