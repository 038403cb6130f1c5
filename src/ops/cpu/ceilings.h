/// What this machine can do at best, to report kernels as a share of it. Each measurement takes at
/// most about 150 ms, so that it can alternate with what it is compared to.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/thread_pool.h"
#include "tensor/buffer.h"
#include "tensor/dtype.h"

namespace mm::cpu {

/// Multi-thread read bandwidth: each thread sums its share of a buffer far larger than the caches.
class ReadCeiling {
 public:
  /// Uses max(512 MB, 8 × last-level cache), but not more than an eighth of the memory. Throws
  /// kOutOfMemory.
  explicit ReadCeiling(ThreadPool& pool);

  /// GB/s (10⁹ bytes) of one pass; the better of plain loads and loads with prefetching.
  double measure();
  int64_t bytes() const { return buffer_.size(); }

 private:
  ThreadPool& pool_;
  Buffer buffer_;
};

/// A large product x wᵀ of bf16 by bf16, by our kernels and by oneDNN, on the threads of one pool.
class ProductCeiling {
 public:
  /// Opens oneDNN if this machine has it.
  explicit ProductCeiling(ThreadPool& pool);
  ~ProductCeiling();
  ProductCeiling(const ProductCeiling&) = delete;
  ProductCeiling& operator=(const ProductCeiling&) = delete;

  /// GFLOP/s of our own `linear`, the best of the shapes.
  double measure_own();
  /// GFLOP/s of oneDNN's matmul in kBf16 or kF32, its weights in the order it likes best; nothing
  /// where it cannot do it (see `onednn_status`).
  std::optional<double> measure_onednn(DType dtype);
  /// "oneDNN 2.6.3", or why there is none; after a failed measurement, what it refused.
  const std::string& onednn_status() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mm::cpu
