/// Where memory lives, and the few things every device can do with it.
#pragma once

#include <cstdint>
#include <memory>

namespace mm {

enum class DeviceKind { kCpu, kCuda };

struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  int index = 0;

  bool is_host() const { return kind == DeviceKind::kCpu; }
  friend bool operator==(const Device&, const Device&) = default;
};

/// CUDA device `index`.
inline Device cuda_device(int index = 0) {
  return {DeviceKind::kCuda, index};
}

/// CUDA devices of this machine; 0 without a driver and in a build without CUDA.
int cuda_device_count();

/// Zero-filled memory of an accelerator, aligned to 256 bytes. Throws kOutOfMemory, kDevice, or
/// kUnsupported in a build without CUDA.
void* device_allocate(Device device, int64_t bytes);
/// Gives back what device_allocate returned; null is ignored.
void device_free(Device device, void* data) noexcept;

/// Bytes of an accelerator's memory that nobody holds. Throws kDevice, or kUnsupported in a build
/// without CUDA.
int64_t device_free_bytes(Device device);

/// Host memory, page by page in its place, that queue_copy() needs; zero-filled. Throws
/// kOutOfMemory, kDevice, or kUnsupported in a build without CUDA.
void* pinned_allocate(Device device, int64_t bytes);
/// Gives back what pinned_allocate returned; null is ignored.
void pinned_free(void* data) noexcept;

// Work on an accelerator is queued: what is queued later sees what was queued before, kernels of
// ops/cuda included. On the host each of these is done when it returns.

/// Makes `device` the one that this thread queues kernels on. Throws kDevice.
void use_device(Device device);
/// Queues a copy between host and accelerator or within one of them. Host memory must be pinned,
/// and left alone until wait_for(). Throws kDevice.
void queue_copy(void* to, Device to_device, const void* from, Device from_device, int64_t bytes);
/// Queues zeros. Throws kDevice.
void queue_zeros(void* to, Device device, int64_t bytes);
/// Returns when everything queued is done. Throws kDevice for what went wrong in any of it.
void wait_for(Device device);

/// Copies bytes between host and accelerator or within one of them, after everything queued on
/// that accelerator before; returns when the bytes have arrived. Throws kDevice.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device, int64_t bytes);

/// Copies host memory, mapped files included, to an accelerator through a ring of pinned buffers,
/// which up to eight threads fill together while earlier ones are sent. One caller at a time.
class StagedUpload {
 public:
  /// Throws kOutOfMemory, kDevice, or kUnsupported in a build without CUDA.
  explicit StagedUpload(Device device);
  ~StagedUpload();
  StagedUpload(const StagedUpload&) = delete;
  StagedUpload& operator=(const StagedUpload&) = delete;

  /// Returns when `from` may change; the bytes arrive by finish(). Throws kDevice.
  void add(void* to, const void* from, int64_t bytes);
  /// Waits for everything. Throws kDevice.
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mm
