#include "tensor/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace mm {
namespace {

constexpr int64_t kAlignment = 64;
// From one huge page on, anonymous mapping: lazily backed, returned to the system when freed.
constexpr int64_t kMapFrom = int64_t{2} << 20;

}  // namespace

Buffer::Buffer(int64_t bytes) : size_(bytes) {
  if (bytes <= 0) {
    size_ = 0;
    return;
  }
  if (bytes >= kMapFrom) {
    void* data = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
      raise(ErrorKind::kOutOfMemory, "cannot reserve {} bytes", bytes);
    ::madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);
    data_ = data;
    origin_ = Origin::kMapped;
    return;
  }
  const int64_t rounded = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  data_ = std::aligned_alloc(kAlignment, static_cast<size_t>(rounded));
  if (data_ == nullptr)
    raise(ErrorKind::kOutOfMemory, "cannot allocate {} bytes", bytes);
  std::memset(data_, 0, static_cast<size_t>(rounded));
}

Buffer::Buffer(int64_t bytes, Device device) {
  if (device.is_host()) {
    *this = Buffer(bytes);
    return;
  }
  device_ = device;
  if (bytes <= 0)
    return;
  data_ = device_allocate(device, bytes);
  size_ = bytes;
  origin_ = Origin::kDevice;
}

Buffer Buffer::for_copies(int64_t bytes, Device device) {
  if (device.is_host() || bytes <= 0)
    return Buffer(bytes);
  Buffer buffer;
  buffer.data_ = pinned_allocate(device, bytes);
  buffer.size_ = bytes;
  buffer.origin_ = Origin::kPinned;
  return buffer;
}

Buffer::~Buffer() {
  switch (origin_) {
    case Origin::kHeap:
      std::free(data_);
      break;
    case Origin::kMapped:
      ::munmap(data_, static_cast<size_t>(size_));
      break;
    case Origin::kPinned:
      pinned_free(data_);
      break;
    case Origin::kDevice:
      device_free(device_, data_);
      break;
  }
}

}  // namespace mm
