/// What draws of tokens depend on, on its way to the device.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <span>

#include "ops/token_draw.h"
#include "tensor/buffer.h"

namespace mm::cuda {

/// Packs draws into one block and sends it on a stream of its own, so that it arrives while the
/// logits are still computed. Its memory doubles when it is too small: histories grow step by step.
class DrawUpload {
 public:
  explicit DrawUpload(Device device) : device_(device) {}
  ~DrawUpload();
  DrawUpload(const DrawUpload&) = delete;
  DrawUpload& operator=(const DrawUpload&) = delete;

  /// Returns where DrawRow [draws] and their lists will lie for work that is queued on `stream`
  /// after this; `draws` may change at once. Throws kDevice, kOutOfMemory; kInternal for a mask
  /// that does not fit `vocab` ids.
  const char* send(std::span<const TokenDraw> draws, int64_t vocab, cudaStream_t stream);
  /// To be called when the work that reads the upload is queued on `stream`: the next one waits.
  void read_by(cudaStream_t stream);

 private:
  void make_room(int64_t bytes);

  Device device_;
  Buffer host_, on_device_;
  cudaStream_t copies_ = nullptr;
  cudaEvent_t sent_ = nullptr, read_ = nullptr;
};

}  // namespace mm::cuda
