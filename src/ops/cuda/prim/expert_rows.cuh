/// The experts that have rows, from offsets that only the device knows.
#pragma once

#include <cstdint>

#include "ops/cuda/prim/reduce.cuh"

namespace mm::cuda {

struct ExpertRows {
  int expert = -1;    ///< -1: there is none
  int64_t first = 0;  ///< first row
  int rows = 0;
};

/// The `index`-th expert that has rows; whole warps only. `offsets` null: one expert has all
/// `rows`.
__device__ inline ExpertRows find_expert_rows(const int32_t* offsets, int experts, int64_t rows,
                                              int index) {
  if (offsets == nullptr)
    return {0, 0, static_cast<int>(rows)};
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int base = 0; base < experts; base += 32) {
    const int e = base + lane;
    const int begin = e < experts ? offsets[e] : 0;
    const int end = e < experts ? offsets[e + 1] : 0;
    unsigned busy = __ballot_sync(kWholeWarp, end > begin);
    const int count = __popc(busy);
    if (index < count) {
      for (int i = 0; i < index; ++i) busy &= busy - 1;
      const int source = __ffs(static_cast<int>(busy)) - 1;
      const int first = __shfl_sync(kWholeWarp, begin, source);
      return {base + source, first, __shfl_sync(kWholeWarp, end, source) - first};
    }
    index -= count;
  }
  return {};
}

}  // namespace mm::cuda
