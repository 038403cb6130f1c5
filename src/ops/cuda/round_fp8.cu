// Work split: a block of 256 threads a row, which it reads twice: the second time from cache.
// Shared memory: a word a warp. Expected limit: memory, 3 bytes an element.
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/round_fp8.h"

namespace mm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kLoad = 8;  // bf16 in 16 bytes
constexpr float kLargest = 448;

struct alignas(16) Eight {
  bf16 at[kLoad];
};

__device__ float block_max(float x) {
  __shared__ float warps[kThreads / 32];
  x = warp_max(x);
  if (threadIdx.x % 32 == 0)
    warps[threadIdx.x / 32] = x;
  __syncthreads();
  for (float other : warps) x = fmaxf(x, other);
  return x;
}

__global__ void __launch_bounds__(kThreads) round_fp8_kernel(const RoundFp8Params p) {
  let_next_start();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  const Eight* x = reinterpret_cast<const Eight*>(static_cast<const bf16*>(p.x) + row * p.cols);
  const int64_t groups = p.cols / kLoad;
  float most = 0;
  for (int64_t i = threadIdx.x; i < groups; i += kThreads) {
    const Eight values = x[i];
#pragma unroll
    for (int j = 0; j < kLoad; ++j) most = fmaxf(most, fabsf(to_f32(values.at[j])));
  }
  most = block_max(most);
  const float inverse = most > 0 ? kLargest / most : 0.0F;
  auto* codes = static_cast<__nv_fp8_e4m3*>(p.codes) + row * p.cols;
  for (int64_t i = threadIdx.x; i < groups; i += kThreads) {
    const Eight values = x[i];
    Pack4<__nv_fp8_e4m3> low;
    Pack4<__nv_fp8_e4m3> high;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      low.at[j] = from_f32<__nv_fp8_e4m3>(to_f32(values.at[j]) * inverse);
      high.at[j] = from_f32<__nv_fp8_e4m3>(to_f32(values.at[4 + j]) * inverse);
    }
    auto* out = reinterpret_cast<Pack4<__nv_fp8_e4m3>*>(codes + i * kLoad);
    out[0] = low;
    out[1] = high;
  }
  if (threadIdx.x == 0)
    p.scales[row] = most / kLargest;
}

}  // namespace

void launch_round_fp8(const RoundFp8Params& params, Queue queue) {
  launch_kernel(round_fp8_kernel, {static_cast<unsigned>(params.rows), kThreads}, queue, params);
}

}  // namespace mm::cuda
