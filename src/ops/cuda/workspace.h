/// Scratch memory of a backend.
#pragma once

#include <cstdint>

#include "tensor/buffer.h"

namespace mm::cuda {

/// Device memory that kernels of one stream use one after the other. Grows when a call asks for
/// more than any before it; steps of a size that has run before allocate nothing.
class Workspace {
 public:
  explicit Workspace(Device device) : device_(device) {}

  /// At least `bytes` bytes, aligned to 256; the contents are undefined. Growing waits for the
  /// device, because queued kernels may still use the old memory.
  void* reserve(int64_t bytes) {
    if (bytes > buffer_.size()) {
      buffer_ = Buffer(bytes, device_);
      ++generation_;
    }
    return buffer_.data();
  }

  /// Changes whenever the memory moves.
  int64_t generation() const { return generation_; }

 private:
  Device device_;
  Buffer buffer_;
  int64_t generation_ = 0;
};

}  // namespace mm::cuda
