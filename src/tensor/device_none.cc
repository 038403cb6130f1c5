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

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, int64_t bytes) {
  if (to_device.kind != DeviceKind::kCpu || from_device.kind != DeviceKind::kCpu)
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
