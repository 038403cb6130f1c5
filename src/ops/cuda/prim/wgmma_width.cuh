/// Products of a warpgroup (wgmma.cuh) for many widths, both operands in shared memory and
/// contiguous along the depth: rows of tokens come in any number, and a width near it wastes least.
#pragma once

#include "ops/cuda/prim/wgmma.cuh"

namespace mm::cuda {

/// d = a b + (add ? d : 0) for 64 × N outputs.
template <int N>
__device__ void wgmma_width(float (&d)[N / 2], uint64_t a, uint64_t b, int add);

#define MM_R0 "%0, %1, %2, %3, %4, %5, %6, %7"
#define MM_R1 "%8, %9, %10, %11, %12, %13, %14, %15"
#define MM_R2 "%16, %17, %18, %19, %20, %21, %22, %23"
#define MM_R3 "%24, %25, %26, %27, %28, %29, %30, %31"
#define MM_R4 "%32, %33, %34, %35, %36, %37, %38, %39"
#define MM_R5 "%40, %41, %42, %43, %44, %45, %46, %47"
#define MM_R6 "%48, %49, %50, %51, %52, %53, %54, %55"
#define MM_R7 "%56, %57, %58, %59, %60, %61, %62, %63"
#define MM_R8 "%64, %65, %66, %67, %68, %69, %70, %71"
#define MM_R9 "%72, %73, %74, %75, %76, %77, %78, %79"
#define MM_R10 "%80, %81, %82, %83, %84, %85, %86, %87"
#define MM_R11 "%88, %89, %90, %91, %92, %93, %94, %95"
#define MM_R12 "%96, %97, %98, %99, %100, %101, %102, %103"
#define MM_R13 "%104, %105, %106, %107, %108, %109, %110, %111"
#define MM_R14 "%112, %113, %114, %115, %116, %117, %118, %119"
#define MM_R15 "%120, %121, %122, %123, %124, %125, %126, %127"
#define MM_D(i)                                                                       \
  "+f"(d[8 * (i)]), "+f"(d[8 * (i) + 1]), "+f"(d[8 * (i) + 2]), "+f"(d[8 * (i) + 3]), \
      "+f"(d[8 * (i) + 4]), "+f"(d[8 * (i) + 5]), "+f"(d[8 * (i) + 6]), "+f"(d[8 * (i) + 7])
#define MM_REGS1 MM_R0
#define MM_OUTS1 MM_D(0)
#define MM_REGS2 MM_REGS1 ", " MM_R1
#define MM_OUTS2 MM_OUTS1, MM_D(1)
#define MM_REGS3 MM_REGS2 ", " MM_R2
#define MM_OUTS3 MM_OUTS2, MM_D(2)
#define MM_REGS4 MM_REGS3 ", " MM_R3
#define MM_OUTS4 MM_OUTS3, MM_D(3)
#define MM_REGS5 MM_REGS4 ", " MM_R4
#define MM_OUTS5 MM_OUTS4, MM_D(4)
#define MM_REGS6 MM_REGS5 ", " MM_R5
#define MM_OUTS6 MM_OUTS5, MM_D(5)
#define MM_REGS7 MM_REGS6 ", " MM_R6
#define MM_OUTS7 MM_OUTS6, MM_D(6)
#define MM_REGS8 MM_REGS7 ", " MM_R7
#define MM_OUTS8 MM_OUTS7, MM_D(7)
#define MM_REGS9 MM_REGS8 ", " MM_R8
#define MM_OUTS9 MM_OUTS8, MM_D(8)
#define MM_REGS10 MM_REGS9 ", " MM_R9
#define MM_OUTS10 MM_OUTS9, MM_D(9)
#define MM_REGS11 MM_REGS10 ", " MM_R10
#define MM_OUTS11 MM_OUTS10, MM_D(10)
#define MM_REGS12 MM_REGS11 ", " MM_R11
#define MM_OUTS12 MM_OUTS11, MM_D(11)
#define MM_REGS13 MM_REGS12 ", " MM_R12
#define MM_OUTS13 MM_OUTS12, MM_D(12)
#define MM_REGS14 MM_REGS13 ", " MM_R13
#define MM_OUTS14 MM_OUTS13, MM_D(13)
#define MM_REGS15 MM_REGS14 ", " MM_R14
#define MM_OUTS15 MM_OUTS14, MM_D(14)
#define MM_REGS16 MM_REGS15 ", " MM_R15
#define MM_OUTS16 MM_OUTS15, MM_D(15)

// N outputs wide, 8 C of them a thread; the operands' places follow them.
#define MM_WGMMA(N, C, A, B, P)                                                              \
  template <>                                                                                \
  __device__ inline void wgmma_width<N>(float(&d)[N / 2], uint64_t a, uint64_t b, int add) { \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #P                                     \
                 ", 0;\n"                                                                    \
                 "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32.bf16.bf16 {" MM_REGS##C     \
                 "}, %" #A ", %" #B ", p, 1, 1, 0, 0;\n}\n"                                  \
                 : MM_OUTS##C                                                                \
                 : "l"(a), "l"(b), "r"(add));                                                \
  }

MM_WGMMA(32, 2, 16, 17, 18)
MM_WGMMA(64, 4, 32, 33, 34)
MM_WGMMA(96, 6, 48, 49, 50)
MM_WGMMA(128, 8, 64, 65, 66)
MM_WGMMA(144, 9, 72, 73, 74)
MM_WGMMA(160, 10, 80, 81, 82)
MM_WGMMA(176, 11, 88, 89, 90)
MM_WGMMA(192, 12, 96, 97, 98)
MM_WGMMA(208, 13, 104, 105, 106)
MM_WGMMA(224, 14, 112, 113, 114)
MM_WGMMA(240, 15, 120, 121, 122)
MM_WGMMA(256, 16, 128, 129, 130)

#undef MM_WGMMA
#undef MM_D
#undef MM_R0
#undef MM_R1
#undef MM_R2
#undef MM_R3
#undef MM_R4
#undef MM_R5
#undef MM_R6
#undef MM_R7
#undef MM_R8
#undef MM_R9
#undef MM_R10
#undef MM_R11
#undef MM_R12
#undef MM_R13
#undef MM_R14
#undef MM_R15
#undef MM_REGS1
#undef MM_OUTS1
#undef MM_REGS2
#undef MM_OUTS2
#undef MM_REGS3
#undef MM_OUTS3
#undef MM_REGS4
#undef MM_OUTS4
#undef MM_REGS5
#undef MM_OUTS5
#undef MM_REGS6
#undef MM_OUTS6
#undef MM_REGS7
#undef MM_OUTS7
#undef MM_REGS8
#undef MM_OUTS8
#undef MM_REGS9
#undef MM_OUTS9
#undef MM_REGS10
#undef MM_OUTS10
#undef MM_REGS11
#undef MM_OUTS11
#undef MM_REGS12
#undef MM_OUTS12
#undef MM_REGS13
#undef MM_OUTS13
#undef MM_REGS14
#undef MM_OUTS14
#undef MM_REGS15
#undef MM_OUTS15
#undef MM_REGS16
#undef MM_OUTS16

}  // namespace mm::cuda
