/// Loading and storing the float types of tensors, and choosing a kernel by type.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

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

/// Four neighbouring elements, moved in one access.
template <typename T>
struct alignas(4 * sizeof(T)) Pack4 {
  T at[4];
};

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

}  // namespace mm::cuda
