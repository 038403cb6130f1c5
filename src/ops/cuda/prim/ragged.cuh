/// Reading the ragged layout of a step on the device.
#pragma once

#include <cstdint>

namespace mm::cuda {

/// The sequence that holds row `row`: the last n with offsets[n] ≤ row. offsets [count + 1].
__device__ inline int sequence_of(const int32_t* offsets, int count, int64_t row) {
  int low = 0;
  int high = count - 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    if (offsets[middle] <= row) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

}  // namespace mm::cuda
