/// Sums and maxima over a warp and a block, in a fixed order.
#pragma once

namespace mm::cuda {

constexpr unsigned kWholeWarp = 0xffffffffU;

template <typename T>
__device__ T warp_sum(T x) {
  for (int step = 16; step > 0; step /= 2) x += __shfl_xor_sync(kWholeWarp, x, step);
  return x;
}

__device__ inline float warp_max(float x) {
  for (int step = 16; step > 0; step /= 2) x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, step));
  return x;
}

/// Sum over a block of up to 1024 threads, a whole number of warps. `scratch` holds 32 numbers of
/// shared memory; every thread gets the sum.
template <typename T>
__device__ T block_sum(T x, T* scratch) {
  x = warp_sum(x);
  const unsigned warp = threadIdx.x / 32;
  const unsigned lane = threadIdx.x % 32;
  __syncthreads();
  if (lane == 0)
    scratch[warp] = x;
  __syncthreads();
  return warp_sum(lane < blockDim.x / 32 ? scratch[lane] : T{});
}

}  // namespace mm::cuda
