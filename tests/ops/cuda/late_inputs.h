/// Verbs behind a kernel that brings everything they touch, late: whoever does not wait for it
/// finds only NaN and -1, and what was written before its time is overwritten.
#pragma once

#include <cuda_runtime_api.h>

#include <vector>

#include "ops/cuda/check.h"
#include "ops/cuda/queue.h"
#include "ops/cuda/recorder.h"
#include "tensor/buffer.h"
#include "tests/ops/cuda/late_kernels.h"
#include "tests/ops/cuda/mirror_backend.h"

namespace mm::testing {

class LateInputs {
 public:
  /// With `graph`, late kernel and verb are recorded as decoding steps are, and played.
  explicit LateInputs(bool graph) : graph_(graph) {
    use_device(device_);
    MM_CUDA(cudaStreamCreate(&stream_));
    void* word = nullptr;
    MM_CUDA(cudaHostAlloc(&word, sizeof(int), cudaHostAllocMapped));
    go_ = static_cast<int*>(word);
  }
  ~LateInputs() {
    cudaFreeHost(const_cast<int*>(go_));
    cudaStreamDestroy(stream_);
  }
  LateInputs(const LateInputs&) = delete;
  LateInputs& operator=(const LateInputs&) = delete;

  /// Where the verbs must be queued.
  cudaStream_t stream() const { return stream_; }

  /// Calls `verb` twice with what now lies in `memory`: first as it is, so that it allocates and
  /// looks up what it needs, then behind the late kernel.
  void run(std::span<const DeviceRange> memory, const std::function<void()>& verb) {
    std::vector<Buffer> kept;
    std::vector<LateCopy> list;
    for (const DeviceRange& range : memory) {
      kept.emplace_back(range.bytes, device_);
      copy_bytes(kept.back().data(), device_, range.data, device_, range.bytes);
      list.push_back({static_cast<const char*>(kept.back().data()), static_cast<char*>(range.data),
                      range.bytes});
    }
    const auto bytes = static_cast<int64_t>(list.size() * sizeof(LateCopy));
    const Buffer there(bytes, device_);
    copy_bytes(there.data(), device_, list.data(), Device{}, bytes);

    cuda::Recorder recorder;
    play(recorder, verb);
    wait_for(device_);
    for (const DeviceRange& range : memory)
      MM_CUDA(cudaMemset(range.data, 0xff, static_cast<size_t>(range.bytes)));
    wait_for(device_);
    *go_ = 0;
    play(recorder, [&] {
      launch_late_copies({static_cast<const LateCopy*>(there.data()), static_cast<int>(list.size()),
                          const_cast<const int*>(go_)},
                         stream_);
      verb();
    });
    *go_ = 1;
    wait_for(device_);
  }

 private:
  void play(cuda::Recorder& recorder, const std::function<void()>& work) {
    if (graph_) {
      recorder.run(0, 0, stream_, work);
    } else {
      work();
    }
  }

  Device device_ = cuda_device();
  bool graph_;
  cudaStream_t stream_ = nullptr;
  volatile int* go_ = nullptr;
};

}  // namespace mm::testing
