#include "ops/cuda/draw_upload.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "ops/cuda/check.h"
#include "ops/cuda/token_draw.h"

namespace mm::cuda {
namespace {

constexpr int64_t kLeastBytes = int64_t{64} << 10;

template <typename T>
int64_t padded_bytes(std::span<const T> list) {
  return (static_cast<int64_t>(list.size_bytes()) + 7) / 8 * 8;
}

int64_t bytes_of(std::span<const TokenDraw> draws) {
  auto bytes = static_cast<int64_t>(draws.size() * sizeof(DrawRow));
  for (const TokenDraw& draw : draws) {
    bytes += padded_bytes(draw.allowed) + padded_bytes(draw.biases) + padded_bytes(draw.repeated) +
             padded_bytes(draw.drawn) + padded_bytes(draw.banned);
  }
  return bytes;
}

/// Writes rows and, behind them, lists.
class Packer {
 public:
  Packer(char* block, int64_t rows, int64_t vocab)
      : block_(block), end_(rows * static_cast<int64_t>(sizeof(DrawRow))), vocab_(vocab) {}

  DrawRow pack(const TokenDraw& draw) {
    const bool cuts = draw.top_k > 0 && draw.top_k < vocab_;
    return {.uniform = draw.uniform,
            .inverse_temperature = draw.temperature == 0 ? 0 : inverse_temperature(draw),
            .top_p = draw.top_p,
            .min_p = draw.min_p,
            .top_k = cuts ? draw.top_k : 0,
            .repetition_penalty = draw.repetition_penalty,
            .presence_penalty = draw.presence_penalty,
            .frequency_penalty = draw.frequency_penalty,
            .allowed = pack(draw.allowed),
            .biases = pack(draw.biases),
            .repeated = pack(draw.repeated),
            .drawn = pack(draw.drawn),
            .banned = pack(draw.banned)};
  }

 private:
  template <typename T>
  DrawList pack(std::span<const T> list) {
    const DrawList result{end_, static_cast<int64_t>(list.size())};
    if (!list.empty()) {
      std::memcpy(block_ + end_, list.data(), list.size_bytes());
    }
    end_ += padded_bytes(list);
    return result;
  }

  char* block_;
  int64_t end_;
  int64_t vocab_;
};

}  // namespace

DrawUpload::~DrawUpload() {
  if (copies_ == nullptr) {
    return;
  }
  cudaStreamSynchronize(copies_);
  cudaEventDestroy(sent_);
  cudaEventDestroy(read_);
  cudaStreamDestroy(copies_);
}

void DrawUpload::make_room(int64_t bytes) {
  if (copies_ == nullptr) {
    // Ordered with the default stream, which fills new memory with zeros; not with others.
    MM_CUDA(cudaStreamCreate(&copies_));
    MM_CUDA(cudaEventCreateWithFlags(&sent_, cudaEventDisableTiming));
    MM_CUDA(cudaEventCreateWithFlags(&read_, cudaEventDisableTiming));
  }
  MM_CUDA(cudaEventSynchronize(sent_));  // the host's block is free to be written
  if (bytes > host_.size()) {
    const int64_t size = std::max({kLeastBytes, bytes, 2 * host_.size()});
    host_ = Buffer::for_copies(size, device_);
    on_device_ = Buffer(size, device_);  // the old one goes when everything queued is done
  }
}

const char* DrawUpload::send(std::span<const TokenDraw> draws, int64_t vocab, cudaStream_t stream) {
  const auto words = static_cast<size_t>((vocab + 63) / 64);
  for (const TokenDraw& draw : draws) {
    MM_CHECK(draw.allowed.empty() || draw.allowed.size() == words, "a mask of {} words for {} ids",
             draw.allowed.size(), vocab);
  }
  const int64_t bytes = bytes_of(draws);
  make_room(bytes);
  auto* block = static_cast<char*>(host_.data());
  Packer packer(block, static_cast<int64_t>(draws.size()), vocab);
  for (size_t i = 0; i < draws.size(); ++i) {
    const DrawRow row = packer.pack(draws[i]);
    std::memcpy(block + i * sizeof(DrawRow), &row, sizeof(row));
  }
  MM_CUDA(cudaStreamWaitEvent(copies_, read_, 0));
  MM_CUDA(cudaMemcpyAsync(on_device_.data(), block, static_cast<size_t>(bytes),
                          cudaMemcpyHostToDevice, copies_));
  MM_CUDA(cudaEventRecord(sent_, copies_));
  MM_CUDA(cudaStreamWaitEvent(stream, sent_, 0));
  return static_cast<const char*>(on_device_.data());
}

void DrawUpload::read_by(cudaStream_t stream) {
  MM_CUDA(cudaEventRecord(read_, stream));
}

}  // namespace mm::cuda
