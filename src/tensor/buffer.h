/// An owning block of memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "tensor/device.h"

namespace mm {

/// Zero-filled memory, aligned to 64 bytes; big blocks are mapped, so untouched pages cost nothing
/// (a KV pool may reserve its full capacity at start).
/// Throws kOutOfMemory.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t bytes);
  /// The same on any device (device.h).
  Buffer(int64_t bytes, Device device);
  /// Host memory that queue_copy() may use with `device`: pinned, if that is an accelerator.
  static Buffer for_copies(int64_t bytes, Device device);
  ~Buffer();
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  int64_t size() const { return size_; }
  Device device() const { return device_; }

 private:
  enum class Origin : uint8_t { kHeap, kMapped, kPinned, kDevice };

  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(origin_, other.origin_);
    std::swap(device_, other.device_);
  }

  void* data_ = nullptr;
  int64_t size_ = 0;
  Origin origin_ = Origin::kHeap;
  Device device_;
};

}  // namespace mm
