/// Loading and storing the float types of tensors, and choosing a kernel by type.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <cstdint>

#include "tensor/dtype.h"

namespace mm::cuda {

using bf16 = __nv_bfloat16;

__device__ inline float to_f32(float x) {
  return x;
}
__device__ inline float to_f32(bf16 x) {
  return __bfloat162float(x);
}
__device__ inline float to_f32(__half x) {
  return __half2float(x);
}

__device__ inline float to_f32(__nv_fp8_e4m3 x) {
  return __half2float(__half(__nv_cvt_fp8_to_halfraw(x.__x, __NV_E4M3)));
}
__device__ inline float to_f32(int8_t x) {
  return static_cast<float>(x);
}

template <typename T>
__device__ T from_f32(float x);
template <>
__device__ inline float from_f32<float>(float x) {
  return x;
}
template <>
__device__ inline bf16 from_f32<bf16>(float x) {
  return __float2bfloat16_rn(x);
}

/// To nearest, ties to even, the largest code for what is larger.
template <>
__device__ inline __nv_fp8_e4m3 from_f32<__nv_fp8_e4m3>(float x) {
  __nv_fp8_e4m3 code;
  code.__x = __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3);
  return code;
}
template <>
__device__ inline int8_t from_f32<int8_t>(float x) {
  return static_cast<int8_t>(__float2int_rn(fminf(fmaxf(x, -127.0F), 127.0F)));
}

/// Whether elements are codes in units of a scale beside them.
template <typename T>
constexpr bool is_code() {
  return sizeof(T) == 1;
}

/// Neighbouring elements, moved in one access of up to 16 bytes.
template <typename T, int Count>
struct alignas(Count * sizeof(T)) Pack {
  T at[Count];
};
template <typename T>
using Pack4 = Pack<T, 4>;

/// Four codes that lie side by side, in two conversions or by bytes.
template <typename Code>
__device__ float4 four_floats(uint32_t codes);

template <>
__device__ inline float4 four_floats<__nv_fp8_e4m3>(uint32_t codes) {
  const auto two = [](uint32_t pair) {
    const auto both = static_cast<__nv_fp8x2_storage_t>(pair);
    return __half22float2(__half2(__nv_cvt_fp8x2_to_halfraw2(both, __NV_E4M3)));
  };
  const float2 low = two(codes & 0xFFFFU);
  const float2 high = two(codes >> 16U);
  return {low.x, low.y, high.x, high.y};
}

/// A byte in the lowest bits of 2^23 is a float; 2^23 + 128 takes the offset away again.
template <>
__device__ inline float4 four_floats<int8_t>(uint32_t codes) {
  const uint32_t biased = codes ^ 0x80808080U;
  const auto number = [biased](uint32_t byte) {
    return __uint_as_float(__byte_perm(biased, 0x4B000000U, 0x7540U | byte)) - 8388736.0F;
  };
  return {number(0), number(1), number(2), number(3)};
}

/// Two floats rounded to bf16: `low` in the lower half of the word.
__device__ inline uint32_t pack_bf16(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

/// Calls `f` with a value of the C++ type of an f32 or bf16 tensor.
template <typename F>
void visit_float(DType dtype, F&& f) {
  if (dtype == DType::kBf16) {
    f(bf16{});
  } else {
    f(float{});
  }
}

/// The same for what pages of keys and values hold.
template <typename F>
void visit_pages(DType dtype, F&& f) {
  if (dtype == DType::kI8) {
    f(int8_t{});
  } else if (dtype == DType::kF8E4M3) {
    f(__nv_fp8_e4m3{});
  } else {
    visit_float(dtype, f);
  }
}

}  // namespace mm::cuda
