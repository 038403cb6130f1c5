/// Products of a warpgroup (wgmma.cuh) for many widths, both operands in shared memory and
/// contiguous along the depth: rows of tokens come in any number, and a width near it wastes least.
#pragma once

#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/wgmma.cuh"

namespace mm::cuda {

/// d = a b + (add ? d : 0) for 64 × N outputs, 32 bytes deep: 16 bf16 or 32 e4m3. Sums of e4m3 keep
/// about 14 bits.
template <typename Element, int N>
__device__ void wgmma_width(float (&d)[N / 2], uint64_t a, uint64_t b, int add);

// clang-format off
// Registers of an accumulator and their operands, four by four.
#define MM_D(i) "+f"(d[4 * (i)]), "+f"(d[4 * (i) + 1]), "+f"(d[4 * (i) + 2]), "+f"(d[4 * (i) + 3])
#define MM_REGS1 "%0, %1, %2, %3"
#define MM_OUTS1 MM_D(0)
#define MM_REGS2 MM_REGS1 ", %4, %5, %6, %7"
#define MM_OUTS2 MM_OUTS1, MM_D(1)
#define MM_REGS3 MM_REGS2 ", %8, %9, %10, %11"
#define MM_OUTS3 MM_OUTS2, MM_D(2)
#define MM_REGS4 MM_REGS3 ", %12, %13, %14, %15"
#define MM_OUTS4 MM_OUTS3, MM_D(3)
#define MM_REGS5 MM_REGS4 ", %16, %17, %18, %19"
#define MM_OUTS5 MM_OUTS4, MM_D(4)
#define MM_REGS6 MM_REGS5 ", %20, %21, %22, %23"
#define MM_OUTS6 MM_OUTS5, MM_D(5)
#define MM_REGS7 MM_REGS6 ", %24, %25, %26, %27"
#define MM_OUTS7 MM_OUTS6, MM_D(6)
#define MM_REGS8 MM_REGS7 ", %28, %29, %30, %31"
#define MM_OUTS8 MM_OUTS7, MM_D(7)
#define MM_REGS9 MM_REGS8 ", %32, %33, %34, %35"
#define MM_OUTS9 MM_OUTS8, MM_D(8)
#define MM_REGS10 MM_REGS9 ", %36, %37, %38, %39"
#define MM_OUTS10 MM_OUTS9, MM_D(9)
#define MM_REGS11 MM_REGS10 ", %40, %41, %42, %43"
#define MM_OUTS11 MM_OUTS10, MM_D(10)
#define MM_REGS12 MM_REGS11 ", %44, %45, %46, %47"
#define MM_OUTS12 MM_OUTS11, MM_D(11)
#define MM_REGS13 MM_REGS12 ", %48, %49, %50, %51"
#define MM_OUTS13 MM_OUTS12, MM_D(12)
#define MM_REGS14 MM_REGS13 ", %52, %53, %54, %55"
#define MM_OUTS14 MM_OUTS13, MM_D(13)
#define MM_REGS15 MM_REGS14 ", %56, %57, %58, %59"
#define MM_OUTS15 MM_OUTS14, MM_D(14)
#define MM_REGS16 MM_REGS15 ", %60, %61, %62, %63"
#define MM_OUTS16 MM_OUTS15, MM_D(15)
#define MM_REGS17 MM_REGS16 ", %64, %65, %66, %67"
#define MM_OUTS17 MM_OUTS16, MM_D(16)
#define MM_REGS18 MM_REGS17 ", %68, %69, %70, %71"
#define MM_OUTS18 MM_OUTS17, MM_D(17)
#define MM_REGS19 MM_REGS18 ", %72, %73, %74, %75"
#define MM_OUTS19 MM_OUTS18, MM_D(18)
#define MM_REGS20 MM_REGS19 ", %76, %77, %78, %79"
#define MM_OUTS20 MM_OUTS19, MM_D(19)
#define MM_REGS21 MM_REGS20 ", %80, %81, %82, %83"
#define MM_OUTS21 MM_OUTS20, MM_D(20)
#define MM_REGS22 MM_REGS21 ", %84, %85, %86, %87"
#define MM_OUTS22 MM_OUTS21, MM_D(21)
#define MM_REGS23 MM_REGS22 ", %88, %89, %90, %91"
#define MM_OUTS23 MM_OUTS22, MM_D(22)
#define MM_REGS24 MM_REGS23 ", %92, %93, %94, %95"
#define MM_OUTS24 MM_OUTS23, MM_D(23)

// N outputs wide, 4 C of them a thread; the operands' places follow them.
#define MM_WGMMA(ELEMENT, KIND, END, N, C, A, B, P)                                                 \
  template <>                                                                                       \
  __device__ inline void wgmma_width<ELEMENT, N>(float (&d)[N / 2], uint64_t a, uint64_t b,         \
                                                 int add) {                                         \
    asm volatile(                                                                                   \
        "{\n.reg .pred p;\nsetp.ne.b32 p, %" #P ", 0;\n"                                            \
        "wgmma.mma_async.sync.aligned.m64n" #N KIND " {" MM_REGS##C "}, %" #A ", %" #B ", p, " END  \
        ";\n}\n"                                                                                    \
        : MM_OUTS##C                                                                                \
        : "l"(a), "l"(b), "r"(add));                                                                \
  }
#define MM_BF16(N, C, A, B, P) MM_WGMMA(bf16, "k16.f32.bf16.bf16", "1, 1, 0, 0", N, C, A, B, P)
MM_BF16(32, 4, 16, 17, 18)
MM_BF16(64, 8, 32, 33, 34)
MM_BF16(96, 12, 48, 49, 50)
MM_BF16(104, 13, 52, 53, 54)
MM_BF16(112, 14, 56, 57, 58)
MM_BF16(120, 15, 60, 61, 62)
MM_BF16(128, 16, 64, 65, 66)
MM_BF16(136, 17, 68, 69, 70)
MM_BF16(144, 18, 72, 73, 74)
MM_BF16(152, 19, 76, 77, 78)
MM_BF16(160, 20, 80, 81, 82)
MM_BF16(168, 21, 84, 85, 86)
MM_BF16(176, 22, 88, 89, 90)
MM_BF16(184, 23, 92, 93, 94)
MM_BF16(192, 24, 96, 97, 98)
#define MM_FP8(N, C, A, B, P) MM_WGMMA(__nv_fp8_e4m3, "k32.f32.e4m3.e4m3", "1, 1", N, C, A, B, P)
MM_FP8(32, 4, 16, 17, 18)
MM_FP8(64, 8, 32, 33, 34)
MM_FP8(96, 12, 48, 49, 50)
MM_FP8(104, 13, 52, 53, 54)
MM_FP8(112, 14, 56, 57, 58)
MM_FP8(120, 15, 60, 61, 62)
MM_FP8(128, 16, 64, 65, 66)
MM_FP8(136, 17, 68, 69, 70)
MM_FP8(144, 18, 72, 73, 74)
#undef MM_FP8
#undef MM_BF16
#undef MM_WGMMA
#undef MM_D
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
#undef MM_REGS17
#undef MM_OUTS17
#undef MM_REGS18
#undef MM_OUTS18
#undef MM_REGS19
#undef MM_OUTS19
#undef MM_REGS20
#undef MM_OUTS20
#undef MM_REGS21
#undef MM_OUTS21
#undef MM_REGS22
#undef MM_OUTS22
#undef MM_REGS23
#undef MM_OUTS23
#undef MM_REGS24
#undef MM_OUTS24
// clang-format on

}  // namespace mm::cuda
