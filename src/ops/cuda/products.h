/// Chooses and queues the kernel of a product with stored weights.
#pragma once

#include <cuda_runtime_api.h>

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "ops/backend.h"
#include "ops/cuda/blas_lt.h"
#include "ops/cuda/linear.h"
#include "tensor/buffer.h"

namespace mm::cuda {

struct ProductOptions {
  Device device;
  int multiprocessors = 0;
  bool vendor_blas = true;  ///< dense bf16 products by cuBLASLt where it is installed
  bool plain = false;       ///< only the kernel that takes f32 operands
};

/// All products of one backend. Weights of a call are known by their addresses, which must keep
/// their meaning as long as the object lives.
class Products {
 public:
  explicit Products(const ProductOptions& options);

  bool has_blas() const { return blas_ != nullptr; }
  void linear(const TensorView& x, const Weight& w, const TensorView& out, cudaStream_t stream);
  void grouped_linear(const TensorView& x, const TensorView& offsets,
                      std::span<const Weight> weights, const TensorView& out, cudaStream_t stream);

 private:
  /// Descriptors of a call's weights on the device, made when the call is first seen.
  const void* weight_maps(const ExpertWeights& weights, const LinearParams& params);
  /// Queues the product on the best kernel that can make it.
  void run(const LinearParams& params, const ExpertWeights& weights, cudaStream_t stream);
  bool run_fast(const LinearParams& params, const ExpertWeights& weights, cudaStream_t stream);

  ProductOptions options_;
  std::unique_ptr<BlasLt> blas_;
  Buffer counter_;                                   ///< of tiles taken, zero between launches
  std::map<std::vector<const void*>, Buffer> maps_;  ///< by the weights' addresses and sizes
};

}  // namespace mm::cuda
