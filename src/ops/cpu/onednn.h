/// oneDNN, opened at run time: a bar to measure against, never a dependency.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tensor/dtype.h"

namespace mm::cpu {

struct OneDnnApi;

/// out = x wᵀ by oneDNN's matmul, weights reordered once to the form it prefers.
class OneDnnMatmul {
 public:
  /// x dtype [rows, cols], w dtype [outputs, cols], random-looking contents; out f32.
  struct Shape {
    int64_t rows = 0;
    int64_t outputs = 0;
    int64_t cols = 0;
    DType dtype = DType::kBf16;
  };

  /// Throws kUnsupported if the library has no such product on this processor.
  OneDnnMatmul(std::shared_ptr<const OneDnnApi> api, const Shape& shape);
  ~OneDnnMatmul();
  OneDnnMatmul(const OneDnnMatmul&) = delete;
  OneDnnMatmul& operator=(const OneDnnMatmul&) = delete;

  /// Runs once, on `threads` threads of the library's own.
  void run(int threads);

 private:
  struct Handles;
  std::unique_ptr<Handles> handles_;
};

/// Opens libdnnl.so.2, or returns null and the reason in *status; else *status is its version.
std::shared_ptr<const OneDnnApi> open_onednn(std::string* status);

}  // namespace mm::cpu
