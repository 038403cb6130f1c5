#include <cuda_bf16.h>

#include <algorithm>

#include "bench/ops/cuda/blas_ceiling.h"
#include "bench/ops/cuda/device.h"
#include "ops/cuda/check.h"

namespace mm::bench {
namespace {

// Counter-based: a hash of the index gives two uniform halves, whose sum is roughly normal.
__device__ float random_value(uint64_t seed, int64_t i) {
  uint64_t x = seed * 0x9e3779b97f4a7c15ULL + static_cast<uint64_t>(i);
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  x ^= x >> 31;
  float sum = 0;
  for (int part = 0; part < 4; ++part)
    sum += static_cast<float>(x >> (16 * part) & 0xffffU) * 0x1p-16F;
  return (sum - 2.0F) * 1.7320508F;
}

template <typename T>
__global__ void fill_kernel(T* data, int64_t count, float scale, uint64_t seed) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride)
    data[i] = static_cast<T>(scale * random_value(seed, i));
}

__global__ void read_kernel(const uint4* data, int64_t count, uint32_t* out) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  uint32_t sum = 0;
  int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (; i + 3 * stride < count; i += 4 * stride) {
    uint4 words[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) words[j] = data[i + j * stride];
#pragma unroll
    for (int j = 0; j < 4; ++j) sum += words[j].x ^ words[j].y ^ words[j].z ^ words[j].w;
  }
  if (sum == 0x12345678U)
    *out = sum;  // never, but the compiler cannot know
}

}  // namespace

DeviceArray::DeviceArray(DType dtype, int64_t count, float scale, uint64_t seed)
    : buffer_(count * size_of(dtype), cuda_device()) {
  if (scale == 0)
    return;
  if (dtype == DType::kBf16) {
    fill_kernel<<<132 * 8, 256>>>(as<__nv_bfloat16>(), count, scale, seed);
  } else if (dtype == DType::kF32) {
    fill_kernel<<<132 * 8, 256>>>(as<float>(), count, scale, seed);
  }
  MM_CUDA(cudaDeviceSynchronize());
}

double seconds(cudaStream_t stream, const Timing& timing, const std::function<void()>& work) {
  constexpr int kPerGraph = 10;
  for (int i = 0; i < 2; ++i) work();
  cudaGraphExec_t graph = nullptr;
  if (timing.graph) {
    cudaGraph_t captured = nullptr;
    MM_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    for (int i = 0; i < kPerGraph; ++i) work();
    MM_CUDA(cudaStreamEndCapture(stream, &captured));
    MM_CUDA(cudaGraphInstantiate(&graph, captured, 0));
    MM_CUDA(cudaGraphDestroy(captured));
    MM_CUDA(cudaGraphLaunch(graph, stream));
  }
  MM_CUDA(cudaStreamSynchronize(stream));
  cudaEvent_t begin = nullptr;
  cudaEvent_t end = nullptr;
  MM_CUDA(cudaEventCreate(&begin));
  MM_CUDA(cudaEventCreate(&end));
  std::vector<double> times;
  for (int i = 0; i < timing.repeats; ++i) {
    MM_CUDA(cudaEventRecord(begin, stream));
    if (graph != nullptr) {
      MM_CUDA(cudaGraphLaunch(graph, stream));
    } else {
      work();
    }
    MM_CUDA(cudaEventRecord(end, stream));
    MM_CUDA(cudaEventSynchronize(end));
    float milliseconds = 0;
    MM_CUDA(cudaEventElapsedTime(&milliseconds, begin, end));
    times.push_back(milliseconds * 1e-3 / (graph != nullptr ? kPerGraph : 1));
  }
  MM_CUDA(cudaEventDestroy(begin));
  MM_CUDA(cudaEventDestroy(end));
  if (graph != nullptr)
    MM_CUDA(cudaGraphExecDestroy(graph));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

Ceilings measure_ceilings(cudaStream_t stream) {
  constexpr int64_t kBytes = int64_t{4} << 30;
  Ceilings ceilings;
  {
    const DeviceArray from(DType::kF32, kBytes / 4, 1);
    const DeviceArray to(DType::kF32, kBytes / 4);
    const double copy = seconds(stream, {10}, [&] {
      MM_CUDA(cudaMemcpyAsync(to.data(), from.data(), kBytes, cudaMemcpyDeviceToDevice, stream));
    });
    ceilings.copy = 2.0 * kBytes / copy;
    const double read = seconds(stream, {10}, [&] {
      read_kernel<<<132 * 8, 512, 0, stream>>>(from.as<uint4>(), kBytes / 16, to.as<uint32_t>());
      MM_CUDA(cudaGetLastError());
    });
    ceilings.read = kBytes / read;
  }
  ceilings.product = measure_product(stream);
  return ceilings;
}

}  // namespace mm::bench
