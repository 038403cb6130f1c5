// Devices of a build with CUDA. The runtime is linked statically and finds the driver when it is
// first used, so a program without one starts and counts no device.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/thread_pool.h"
#include "tensor/device.h"

namespace mm {
namespace {

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess)
    raise(ErrorKind::kDevice, "{}: {} ({})", what, cudaGetErrorName(status),
          cudaGetErrorString(status));
}

/// Makes the accelerator of a copy the current device; false if it is one within the host.
bool use_either(Device to, Device from) {
  if (to.is_host() && from.is_host())
    return false;
  use_device(to.is_host() ? from : to);
  return true;
}

}  // namespace

int cuda_device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess)
    return count;
  cudaGetLastError();  // no driver: not an error of a later call
  return 0;
}

void* device_allocate(Device device, int64_t bytes) {
  check(cudaSetDevice(device.index), "cudaSetDevice");
  void* data = nullptr;
  const cudaError_t status = cudaMalloc(&data, static_cast<size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    raise(ErrorKind::kOutOfMemory, "cannot allocate {} bytes on cuda:{}", bytes, device.index);
  }
  check(status, "cudaMalloc");
  check(cudaMemset(data, 0, static_cast<size_t>(bytes)), "cudaMemset");
  return data;
}

void device_free(Device, void* data) noexcept {
  cudaFree(data);
}

int64_t device_free_bytes(Device device) {
  use_device(device);
  size_t free = 0;
  size_t total = 0;
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  return static_cast<int64_t>(free);
}

void* pinned_allocate(Device device, int64_t bytes) {
  use_device(device);
  void* data = nullptr;
  if (cudaMallocHost(&data, static_cast<size_t>(bytes)) != cudaSuccess) {
    cudaGetLastError();
    raise(ErrorKind::kOutOfMemory, "cannot pin {} bytes of host memory", bytes);
  }
  std::memset(data, 0, static_cast<size_t>(bytes));
  return data;
}

void pinned_free(void* data) noexcept {
  cudaFreeHost(data);
}

void use_device(Device device) {
  if (!device.is_host())
    check(cudaSetDevice(device.index), "cudaSetDevice");
}

// The default stream waits for the streams of the backends, and they for it.
void queue_copy(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) {
  if (!use_either(to_device, from_device)) {
    std::memcpy(to, from, static_cast<size_t>(bytes));
    return;
  }
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault),
        "cudaMemcpyAsync");
}

void queue_zeros(void* to, Device device, int64_t bytes) {
  if (device.is_host()) {
    std::memset(to, 0, static_cast<size_t>(bytes));
    return;
  }
  use_device(device);
  check(cudaMemsetAsync(to, 0, static_cast<size_t>(bytes)), "cudaMemsetAsync");
}

void wait_for(Device device) {
  if (device.is_host())
    return;
  use_device(device);
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) {
  if (!use_either(to_device, from_device)) {
    std::memcpy(to, from, static_cast<size_t>(bytes));
    return;
  }
  check(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault), "cudaMemcpy");
}

struct StagedUpload::Impl {
  // Four of 16 MiB: long enough for the full rate, and the copy engine has work while the next is
  // filled even if a thread comes late.
  static constexpr int64_t kStageBytes = int64_t{16} << 20;
  static constexpr size_t kStages = 4;
  // One thread copies slower than the bus takes, so the threads share each stage: eight reach 74 %
  // of a pinned copy, sixteen 96 %, on a host of sixteen cores.
  static constexpr int kMostThreads = 16;
  static constexpr int64_t kGrain = int64_t{256} << 10;  // below, waking a thread costs more

  struct Stage {
    char* data = nullptr;
    cudaEvent_t sent = nullptr;
  };
  std::array<Stage, kStages> stages;
  cudaStream_t stream = nullptr;
  size_t next = 0;
  ThreadPool pool{std::min(kMostThreads, available_cores())};

  ~Impl() {
    if (stream != nullptr)
      cudaStreamSynchronize(stream);  // after an error: stages must not go while they are read
    for (const Stage& stage : stages) {
      if (stage.sent != nullptr)
        cudaEventDestroy(stage.sent);
      cudaFreeHost(stage.data);
    }
    if (stream != nullptr)
      cudaStreamDestroy(stream);
  }

  /// The threads fill the next stage; this one alone talks to the device, so copies are queued in
  /// order and errors are raised here.
  void send(char* to, const char* from, int64_t bytes) {
    const Stage& stage = stages[next++ % kStages];
    check(cudaEventSynchronize(stage.sent), "cudaEventSynchronize");
    pool.parallel_for(bytes, kGrain, [&](int64_t begin, int64_t end, int) {
      std::memcpy(stage.data + begin, from + begin, static_cast<size_t>(end - begin));
    });
    check(
        cudaMemcpyAsync(to, stage.data, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream),
        "cudaMemcpyAsync");
    check(cudaEventRecord(stage.sent, stream), "cudaEventRecord");
  }
};

StagedUpload::StagedUpload(Device device) : impl_(std::make_unique<Impl>()) {
  check(cudaSetDevice(device.index), "cudaSetDevice");
  check(cudaStreamCreate(&impl_->stream), "cudaStreamCreate");
  for (Impl::Stage& stage : impl_->stages) {
    if (cudaMallocHost(reinterpret_cast<void**>(&stage.data), Impl::kStageBytes) != cudaSuccess) {
      cudaGetLastError();
      raise(ErrorKind::kOutOfMemory, "cannot pin {} bytes of host memory", Impl::kStageBytes);
    }
    check(cudaEventCreateWithFlags(&stage.sent, cudaEventDisableTiming), "cudaEventCreate");
  }
}

StagedUpload::~StagedUpload() = default;

void StagedUpload::add(void* to, const void* from, int64_t bytes) {
  for (int64_t done = 0; done < bytes; done += Impl::kStageBytes)
    impl_->send(static_cast<char*>(to) + done, static_cast<const char*>(from) + done,
                std::min(bytes - done, Impl::kStageBytes));
}

void StagedUpload::finish() {
  check(cudaStreamSynchronize(impl_->stream), "cudaStreamSynchronize");
}

}  // namespace mm
