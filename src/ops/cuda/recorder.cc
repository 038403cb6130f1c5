#include "ops/cuda/recorder.h"

#include <algorithm>

#include "ops/cuda/check.h"

namespace mm::cuda {
namespace {

// A record of a large model holds thousands of kernels: a few megabytes of host memory each.
constexpr size_t kMostRecords = 64;

}  // namespace

void Recorder::clear() {
  for (const auto& [key, record] : records_) {
    if (record.graph != nullptr)
      cudaGraphExecDestroy(record.graph);
  }
  records_.clear();
}

void Recorder::make_room() {
  if (records_.size() < kMostRecords)
    return;
  const auto oldest =
      std::min_element(records_.begin(), records_.end(),
                       [](const auto& a, const auto& b) { return a.second.turn < b.second.turn; });
  if (oldest->second.graph != nullptr)
    MM_CUDA(cudaGraphExecDestroy(oldest->second.graph));
  records_.erase(oldest);
}

cudaGraphExec_t Recorder::record(cudaStream_t stream, FunctionRef<void()> work) {
  cudaGraph_t graph = nullptr;
  MM_CUDA(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  try {
    work();
  } catch (...) {
    cudaStreamEndCapture(stream, &graph);
    cudaGraphDestroy(graph);
    throw;
  }
  MM_CUDA(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t result = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&result, graph, 0);
  MM_CUDA(cudaGraphDestroy(graph));
  MM_CUDA(status);
  return result;
}

void Recorder::run(uint64_t key, int64_t generation, cudaStream_t stream,
                   FunctionRef<void()> work) {
  if (generation != generation_) {
    clear();
    generation_ = generation;
  }
  auto at = records_.find(key);
  if (at == records_.end()) {
    make_room();
    work();
    records_[key].turn = ++turn_;
    return;
  }
  if (at->second.graph == nullptr)
    at->second.graph = record(stream, work);
  at->second.turn = ++turn_;
  MM_CUDA(cudaGraphLaunch(at->second.graph, stream));
}

}  // namespace mm::cuda
