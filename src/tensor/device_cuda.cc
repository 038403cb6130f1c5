// Devices of a build with CUDA. The runtime is linked statically and finds the driver when it is
// first used, so a program without one starts and counts no device.
#include <cuda_runtime_api.h>

#include <cstring>

#include "base/error.h"
#include "tensor/device.h"

namespace mm {
namespace {

void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess)
    raise(ErrorKind::kDevice, "{}: {} ({})", what, cudaGetErrorName(status),
          cudaGetErrorString(status));
}

bool is_host(Device device) {
  return device.kind == DeviceKind::kCpu;
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

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) {
  if (is_host(to_device) && is_host(from_device)) {
    std::memcpy(to, from, static_cast<size_t>(bytes));
    return;
  }
  check(cudaSetDevice(is_host(to_device) ? from_device.index : to_device.index), "cudaSetDevice");
  check(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault), "cudaMemcpy");
}

}  // namespace mm
