#include "ops/cuda/ceilings.h"

#include "ops/cuda/blas_lt.h"
#include "ops/cuda/ceiling_kernels.h"
#include "ops/cuda/check.h"
#include "tensor/buffer.h"

namespace mm {
namespace {

constexpr int64_t kBytes = int64_t{1} << 30;  // 20 times the second level of an H100
constexpr int64_t kSize = 8192;
constexpr int64_t kMatrixBytes = kSize * kSize * 2;
constexpr int kRepeats = 10;

}  // namespace

struct CudaCeilings::Impl {
  Device device;
  Buffer from, to, x, w, out;
  std::unique_ptr<cuda::BlasLt> blas;
  cudaStream_t stream = nullptr;
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;

  explicit Impl(Device d)
      : device(d),
        from(kBytes, d),
        to(kBytes, d),
        x(kMatrixBytes, d),
        w(kMatrixBytes, d),
        out(kMatrixBytes, d),
        blas(cuda::BlasLt::open(d)) {
    use_device(device);
    MM_CUDA(cudaStreamCreate(&stream));
    MM_CUDA(cudaEventCreate(&begin));
    MM_CUDA(cudaEventCreate(&end));
    cuda::launch_random_fill({from.data(), DType::kF32, kBytes / 4, 1, 1}, stream);
    cuda::launch_random_fill({x.data(), DType::kBf16, kSize * kSize, 1, 2}, stream);
    cuda::launch_random_fill({w.data(), DType::kBf16, kSize * kSize, 1, 3}, stream);
  }
  ~Impl() {
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    cudaStreamDestroy(stream);
  }

  /// Mean seconds of `work`, which queues on the stream, after one that is not counted.
  template <typename Work>
  double seconds(const Work& work) {
    use_device(device);
    work();
    MM_CUDA(cudaEventRecord(begin, stream));
    for (int i = 0; i < kRepeats; ++i) work();
    MM_CUDA(cudaEventRecord(end, stream));
    MM_CUDA(cudaEventSynchronize(end));
    float milliseconds = 0;
    MM_CUDA(cudaEventElapsedTime(&milliseconds, begin, end));
    return milliseconds * 1e-3 / kRepeats;
  }
};

CudaCeilings::CudaCeilings(Device device) : impl_(std::make_unique<Impl>(device)) {}
CudaCeilings::~CudaCeilings() = default;

double CudaCeilings::read() {
  Impl& s = *impl_;
  return kBytes / s.seconds([&] {
    cuda::launch_read(s.from.data(), kBytes, static_cast<uint32_t*>(s.to.data()), s.stream);
  });
}

double CudaCeilings::copy() {
  Impl& s = *impl_;
  return 2.0 * kBytes / s.seconds([&] {
    MM_CUDA(
        cudaMemcpyAsync(s.to.data(), s.from.data(), kBytes, cudaMemcpyDeviceToDevice, s.stream));
  });
}

double CudaCeilings::product() {
  Impl& s = *impl_;
  if (s.blas == nullptr)
    return 0;
  const cuda::BlasLtParams params{s.x.data(), s.w.data(), s.out.data(), DType::kBf16,
                                  kSize,      kSize,      kSize};
  return 2.0 * kSize * kSize * kSize / s.seconds([&] { s.blas->multiply(params, s.stream); });
}

}  // namespace mm
