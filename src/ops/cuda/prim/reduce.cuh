/// Sums, running sums and maxima over a warp and a block, in a fixed order.
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

/// What threads before this one have, summed, and what all have.
template <typename T>
struct RunningSum {
  T before, total;
};

/// The same over a block as block_sum(); exact types only, if blocks of another size should agree.
template <typename T>
__device__ RunningSum<T> block_running_sum(T x, T* scratch) {
  const unsigned warp = threadIdx.x / 32;
  const unsigned lane = threadIdx.x % 32;
  T sum = x;
  for (unsigned step = 1; step < 32; step *= 2) {
    const T lower = __shfl_up_sync(kWholeWarp, sum, step);
    sum += lane >= step ? lower : T{};
  }
  __syncthreads();
  if (lane == 31)
    scratch[warp] = sum;
  __syncthreads();
  RunningSum<T> result{sum - x, T{}};
  for (unsigned i = 0; i < blockDim.x / 32; ++i) {
    result.before += i < warp ? scratch[i] : T{};
    result.total += scratch[i];
  }
  return result;
}

}  // namespace mm::cuda
