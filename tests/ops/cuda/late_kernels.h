/// Kernels that show what another one did before its time (ops/cuda/prim/dependent_launch.cuh).
#pragma once

#include <cstdint>

#include "ops/cuda/queue.h"

namespace mm::testing {

struct LateCopy {
  const char* from = nullptr;
  char* to = nullptr;
  int64_t bytes = 0;
};

struct LateCopies {
  const LateCopy* list = nullptr;  ///< [count], on the device
  int count = 0;
  const int* go = nullptr;  ///< a word of pinned host memory
};

/// Lets the next kernel begin at once, waits until the host has made `go` other than zero (two
/// seconds at most, so that nothing hangs) and some while longer, then copies. A kernel that
/// comes next and does not wait has read and written long before.
void launch_late_copies(const LateCopies& copies, cudaStream_t stream);

/// What a kernel that breaks the rule does before it waits.
enum class TooEarly {
  kNothing,
  kRead,
  kWrite,
};

/// out = in, `count` words, each read or written before its time as `what` says.
struct CarelessCopy {
  const int* in = nullptr;
  int* out = nullptr;
  int count = 0;
  TooEarly what = TooEarly::kNothing;
};
void launch_careless_copy(const CarelessCopy& copy, const cuda::Queue& queue);

constexpr int kRelayWords = 8448;

/// out[i] = next_word(sum of all of `in`, i), [kRelayWords] each, by a kernel that keeps the rule:
/// every block reads all words, two blocks on each multiprocessor.
void launch_relay(const uint32_t* in, uint32_t* out, const cuda::Queue& queue);
constexpr uint32_t next_word(uint32_t sum, uint32_t i) {
  return sum * 1664525U + 1013904223U + i;
}

}  // namespace mm::testing
