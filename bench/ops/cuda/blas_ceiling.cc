#include "bench/ops/cuda/blas_ceiling.h"

#include "bench/ops/cuda/device.h"
#include "ops/cuda/blas_lt.h"

namespace mm::bench {

double measure_product(cudaStream_t stream) {
  constexpr int64_t kSize = 8192;
  const auto blas = cuda::BlasLt::open(cuda_device());
  if (blas == nullptr)
    return 0;
  const DeviceArray x(DType::kBf16, kSize * kSize, 1, 1);
  const DeviceArray w(DType::kBf16, kSize * kSize, 1, 2);
  const DeviceArray out(DType::kBf16, kSize * kSize);
  const double time = seconds(stream, {20}, [&] {
    blas->multiply({x.data(), w.data(), out.data(), DType::kBf16, kSize, kSize, kSize}, stream);
  });
  return 2.0 * kSize * kSize * kSize / time;
}

}  // namespace mm::bench
