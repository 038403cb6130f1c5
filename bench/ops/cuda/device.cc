#include "bench/ops/cuda/device.h"

#include <algorithm>

#include "ops/cuda/ceiling_kernels.h"
#include "ops/cuda/ceilings.h"
#include "ops/cuda/check.h"

namespace mm::bench {
DeviceArray::DeviceArray(DType dtype, int64_t count, float scale, uint64_t seed)
    : buffer_(count * size_of(dtype), cuda_device()) {
  if (scale == 0)
    return;
  cuda::launch_random_fill({data(), dtype, count, scale, seed}, nullptr);
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

Ceilings measure_ceilings() {
  CudaCeilings ceilings(cuda_device());
  return {.copy = ceilings.copy(), .read = ceilings.read(), .product = ceilings.product()};
}

}  // namespace mm::bench
