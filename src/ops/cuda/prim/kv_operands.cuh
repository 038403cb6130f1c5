/// Pages of keys and values in shared memory as left operands of mma<bf16>: 16 keys × 16 channels
/// for scores, 16 channels × 16 keys for outputs, head size 128.
///
/// A page is 64 rows, swizzled: of bf16, two panels of 64 channels; of codes, 128 bytes. A warp's
/// word of codes holds four neighbouring channels of a key (or, transposed, two of two keys), of
/// which the even and the odd bytes become one word of bf16 each: channels stand in another order
/// than in memory, which the query's order and the output's undo.
#pragma once

#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/matrix.cuh"
#include "ops/cuda/views.h"

namespace mm::cuda {

/// Even and odd bytes of four codes, as pairs of bf16. Every code is exact in bf16.
struct Widened {
  uint32_t even, odd;
};

template <typename Code>
__device__ Widened widen(uint32_t codes);

/// E4M3 has the bits of a bf16 whose exponent is 120 too small: sign, exponent and mantissa move to
/// their places, and a product mends the exponent, of subnormals too. NaN, which is no page's code,
/// becomes 480.
template <>
__device__ inline Widened widen<__nv_fp8_e4m3>(uint32_t codes) {
  const auto mend = [](uint32_t signs, uint32_t rest) {
    const uint32_t bits = (signs & 0x80008000U) | (rest & 0x07F007F0U);
    const __nv_bfloat162 fixed =
        __hmul2(*reinterpret_cast<const __nv_bfloat162*>(&bits), __float2bfloat162_rn(0x1p120F));
    return *reinterpret_cast<const uint32_t*>(&fixed);
  };
  return {mend(codes << 8U, codes << 4U), mend(codes, codes >> 4U)};
}

template <>
__device__ inline Widened widen<int8_t>(uint32_t codes) {
  const float4 x = four_floats<int8_t>(codes);
  return {pack_bf16(x.x, x.z), pack_bf16(x.y, x.w)};
}

template <typename Kv>
struct KvOperands {
  static constexpr int kTileBytes = kBlock * 128;
  static constexpr bool kScaled = true;

  /// Channels of word `word` (of 16) of a lane's query.
  __device__ static int2 query_channels(int word, int lane) {
    const int first = word / 2 * 16 + lane % 4 * 4 + word % 2;
    return {first, first + 2};
  }
  /// Channel of a lane's output of `step` in the upper (0) or lower (1) half of the rows.
  __device__ static int out_channel(int step, int half, int lane) {
    return 16 * step + lane / 4 * 2 + half;
  }
  /// Calls `use(step, a)` for the 8 steps of 16 channels of the warp's 16 keys.
  template <typename Use>
  __device__ static void each_key_step(const char* tile, int warp, Use&& use) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int key = 16 * warp + lane / 8 % 2 * 8 + lane % 8;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      uint32_t words[4];
      load_matrices(words, shared_address(tile) + swizzled(key, 2 * i + lane / 16));
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const Widened low = widen<Kv>(words[2 * j]);
        const Widened high = widen<Kv>(words[2 * j + 1]);
        const uint32_t a[4] = {low.even, high.even, low.odd, high.odd};
        use(2 * i + j, a);
      }
    }
  }
  /// The same with channels as rows and keys as depth.
  template <typename Use>
  __device__ static void each_value_step(const char* tile, int warp, Use&& use) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int key = 16 * warp + lane / 16 * 8 + lane % 8;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      uint32_t words[4];
      load_matrices_transposed(words, shared_address(tile) + swizzled(key, 2 * i + lane / 8 % 2));
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        const Widened low = widen<Kv>(words[j]);
        const Widened high = widen<Kv>(words[j + 2]);
        const uint32_t a[4] = {low.even, low.odd, high.even, high.odd};
        use(2 * i + j, a);
      }
    }
  }
};

template <>
struct KvOperands<bf16> {
  static constexpr int kPanelBytes = kBlock * 128;
  static constexpr int kTileBytes = 2 * kPanelBytes;
  static constexpr bool kScaled = false;

  __device__ static int2 query_channels(int word, int lane) {
    const int first = 8 * word + lane % 4 * 2;
    return {first, first + 1};
  }
  __device__ static int out_channel(int step, int half, int lane) {
    return 16 * step + lane / 4 + 8 * half;
  }
  template <typename Use>
  __device__ static void each_key_step(const char* tile, int warp, Use&& use) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int key = 16 * warp + lane / 8 % 2 * 8 + lane % 8;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      uint32_t a[4];
      load_matrices(a, panel(tile, i) + swizzled(key, i % 4 * 2 + lane / 16));
      use(i, a);
    }
  }
  template <typename Use>
  __device__ static void each_value_step(const char* tile, int warp, Use&& use) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int key = 16 * warp + lane / 16 * 8 + lane % 8;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      uint32_t a[4];
      load_matrices_transposed(a, panel(tile, i) + swizzled(key, i % 4 * 2 + lane / 8 % 2));
      use(i, a);
    }
  }

 private:
  __device__ static uint32_t panel(const char* tile, int step) {
    return shared_address(tile) + static_cast<uint32_t>(step / 4 * kPanelBytes);
  }
};

}  // namespace mm::cuda
