/// Dense bf16 products by cuBLASLt, opened at run time: the program starts without it.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>

#include "ops/cuda/workspace.h"
#include "tensor/dtype.h"

namespace mm::cuda {

/// out [rows, N] = x [rows, K] · w [N, K]ᵀ with sums in f32; x and w bf16, all contiguous device
/// memory.
struct BlasLtParams {
  const void* x = nullptr;
  const void* w = nullptr;
  void* out = nullptr;
  DType out_type = DType::kF32;  ///< f32 or bf16
  int64_t rows = 0;
  int64_t n = 0;
  int64_t k = 0;
};

class BlasLt {
 public:
  /// Null when the library is not installed.
  static std::unique_ptr<BlasLt> open(Device device);
  ~BlasLt();

  /// Queues the product on `stream`. Returns false, having done nothing, when the library has no
  /// algorithm for these sizes. Throws kDevice.
  bool multiply(const BlasLtParams& params, cudaStream_t stream);

 private:
  struct Impl;
  explicit BlasLt(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace mm::cuda
