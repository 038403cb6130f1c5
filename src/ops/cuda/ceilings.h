/// What a device can do at best, to report models and kernels as a share of it. Each measurement
/// takes some tens of milliseconds, so that it can alternate with what it is compared to.
#pragma once

#include <memory>

#include "tensor/device.h"

namespace mm {

class CudaCeilings {
 public:
  /// Takes about 2.5 GB of the device. Throws kOutOfMemory, kDevice, kUnsupported without CUDA.
  explicit CudaCeilings(Device device);
  ~CudaCeilings();
  CudaCeilings(const CudaCeilings&) = delete;
  CudaCeilings& operator=(const CudaCeilings&) = delete;

  /// Bytes a second, summing an array far larger than the caches.
  double read();
  /// Bytes a second, read plus written, of a copy within the device.
  double copy();
  /// FLOP/s of an 8192³ bf16 product of random matrices by cuBLASLt; 0 without the library.
  double product();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mm
