/// Products of a warp (mma.sync): 16 × 8 outputs in f32 from bf16 operands, 16 deep.
///
/// Lane l = 4 g + t holds of a: rows g, g + 8 (words 0 and 1) at depth 2t, 2t + 1, and (words 2 and
/// 3) at depth 2t + 8, 2t + 9; of b the same depths of column g; of d rows g (0, 1) and g + 8 (2,
/// 3) at columns 2t, 2t + 1.
#pragma once

#include <cstdint>

namespace mm::cuda {

__device__ inline void mma_bf16(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3,
                                uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

/// 16 bytes that will not be read again: past the first-level cache.
__device__ inline uint4 load_once(const void* from) {
  uint4 words;
  asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words.x), "=r"(words.y), "=r"(words.z), "=r"(words.w)
               : "l"(from));
  return words;
}

}  // namespace mm::cuda
