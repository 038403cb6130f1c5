/// Asking for weights before it is known that the rows they multiply are there.
#pragma once

#include <cstdint>

namespace mm::cuda {

constexpr int kLine = 128;  // bytes of a cache line

/// Below so many blocks (a multiprocessor of an H100 each) a block's own reads in flight do not
/// keep memory busy.
constexpr unsigned kFewBlocks = 132;

__device__ inline void prefetch_line(const char* address) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(address)));
}

/// Asks L2 for the first lines of `rows` neighbouring rows of `bytes` bytes each, at most Rows of
/// them: a line a thread, or all lines in a grid of few blocks. A device full of waiting blocks
/// asks for 34 MB that way, 16 KiB a block of four warps. Reads nothing: the values may still
/// change. Whole blocks of `Threads` call it.
template <int Rows, int Threads>
__device__ void prefetch_rows(const void* first, int64_t rows, int64_t bytes) {
  constexpr int kEach = Threads / Rows * kLine;  // bytes of a row that all its threads ask for
  const auto row = static_cast<int>(threadIdx.x) / (Threads / Rows);
  const int64_t end = gridDim.x * gridDim.y <= kFewBlocks || bytes < kEach ? bytes : kEach;
  if (row >= rows)
    return;
  const char* line = static_cast<const char*>(first) + row * bytes;
  for (int64_t at = static_cast<int64_t>(threadIdx.x % (Threads / Rows)) * kLine; at < end;
       at += kEach)
    prefetch_line(line + at);
}

}  // namespace mm::cuda
