/// Working memory of the CPU ops: one growing block per thread, reused from call to call.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/buffer.h"

namespace mm::cpu {

class Scratch {
 public:
  /// Blocks for `threads` threads and one shared by all.
  explicit Scratch(int threads) : blocks_(static_cast<size_t>(threads) + 1) {}

  /// At least `count` uninitialised floats, aligned to 64 bytes, for one thread; they last until
  /// the next call for that thread. Different threads may call at the same time.
  float* floats(int thread, int64_t count) {
    return grow(blocks_[static_cast<size_t>(thread) + 1], count);
  }
  /// The same for all threads together: call it before the work is shared out.
  float* shared_floats(int64_t count) { return grow(blocks_[0], count); }

 private:
  // Neighbours are written by different threads: each on its own cache line.
  struct alignas(64) Block {
    Buffer buffer;
  };

  static float* grow(Block& block, int64_t count) {
    constexpr int64_t kFloatBytes = sizeof(float);
    if (block.buffer.size() < count * kFloatBytes)
      block.buffer = Buffer(count * kFloatBytes + count * kFloatBytes / 2);
    return static_cast<float*>(block.buffer.data());
  }

  std::vector<Block> blocks_;
};

/// Cuts one block into arrays, each aligned to 64 bytes.
class Carver {
 public:
  explicit Carver(float* block) : next_(block) {}

  float* take(int64_t count) {
    float* taken = next_;
    next_ += round_up(count);
    return taken;
  }

  int32_t* take_ints(int64_t count) { return reinterpret_cast<int32_t*>(take(count)); }

  /// Floats that an array of `count` occupies.
  static constexpr int64_t round_up(int64_t count) { return (count + 15) / 16 * 16; }

 private:
  float* next_;
};

}  // namespace mm::cpu
