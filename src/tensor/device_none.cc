// Devices of a build without CUDA: the host alone.
#include <cstring>

#include "base/error.h"
#include "tensor/device.h"

namespace mm {

int cuda_device_count() {
  return 0;
}

void* device_allocate(Device, int64_t bytes) {
  raise(ErrorKind::kUnsupported,
        "{} bytes of device memory: this program was built without CUDA; use --device cpu", bytes);
}

void device_free(Device, void*) noexcept {}

int64_t device_free_bytes(Device device) {
  raise(ErrorKind::kUnsupported, "memory of cuda:{}: this program was built without CUDA",
        device.index);
}

void* pinned_allocate(Device, int64_t bytes) {
  raise(ErrorKind::kUnsupported, "{} bytes of pinned memory: this program was built without CUDA",
        bytes);
}

void pinned_free(void*) noexcept {}

void use_device(Device) {}

void queue_copy(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) {
  copy_bytes(to, to_device, from, from_device, bytes);
}

void queue_zeros(void* to, Device, int64_t bytes) {
  std::memset(to, 0, static_cast<size_t>(bytes));
}

void wait_for(Device) {}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) {
  if (!to_device.is_host() || !from_device.is_host())
    raise(ErrorKind::kUnsupported, "a copy to a device: this program was built without CUDA");
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

struct StagedUpload::Impl {};

StagedUpload::StagedUpload(Device device) {
  raise(ErrorKind::kUnsupported, "an upload to cuda:{}: this program was built without CUDA",
        device.index);
}
StagedUpload::~StagedUpload() = default;
void StagedUpload::add(void*, const void*, int64_t) {}
void StagedUpload::finish() {}

}  // namespace mm
