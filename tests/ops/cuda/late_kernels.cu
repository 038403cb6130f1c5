#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "tests/ops/cuda/late_kernels.h"

namespace mm::testing {
namespace {

constexpr unsigned long long kMostNanoseconds = 2'000'000'000;
// Some 200 microseconds: several launches of kernels that have all been queued, each a few. Counted
// in naps, because a clock goes on while another process has the device.
constexpr int kNaps = 2000;
constexpr unsigned kNapNanoseconds = 100;

__device__ unsigned long long nanoseconds() {
  unsigned long long now = 0;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

__device__ void wait_for_host(const volatile int* go) {
  const unsigned long long begin = nanoseconds();
  while (*go == 0 && nanoseconds() - begin < kMostNanoseconds) {
  }
  for (int i = 0; i < kNaps; ++i) __nanosleep(kNapNanoseconds);
}

__global__ void late_copies_kernel(LateCopies p) {
  cudaTriggerProgrammaticLaunchCompletion();
  if (threadIdx.x == 0)
    wait_for_host(p.go);
  __syncthreads();
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int c = 0; c < p.count; ++c) {
    const LateCopy copy = p.list[c];
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < copy.bytes;
         i += stride)
      copy.to[i] = copy.from[i];
  }
}

__global__ void careless_copy_kernel(CarelessCopy p) {
  cuda::let_next_start();
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < p.count && p.what == TooEarly::kRead)
    p.out[i] = p.in[i];
  if (i < p.count && p.what == TooEarly::kWrite)
    p.out[i] = 1;
  cuda::wait_for_previous();
  if (i < p.count && p.what == TooEarly::kNothing)
    p.out[i] = p.in[i];
}

constexpr int kRelayBlocks = 264;
constexpr int kRelayThreads = 128;
constexpr int kRelayEach = kRelayWords / kRelayBlocks;
static_assert(kRelayEach * kRelayBlocks == kRelayWords && kRelayEach <= kRelayThreads);

__global__ void __launch_bounds__(kRelayThreads) relay_kernel(const uint32_t* in, uint32_t* out) {
  __shared__ uint32_t scratch[32];
  cuda::let_next_start();
  cuda::wait_for_previous();
  uint32_t sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < kRelayWords; i += kRelayThreads) sum += in[i];
  sum = cuda::block_sum(sum, scratch);
  if (threadIdx.x < kRelayEach) {
    const uint32_t i = blockIdx.x * kRelayEach + threadIdx.x;
    out[i] = next_word(sum, i);
  }
}

}  // namespace

void launch_late_copies(const LateCopies& copies, cudaStream_t stream) {
  cuda::launch_kernel(late_copies_kernel, {8, 256}, cuda::Queue(stream), copies);
}

void launch_relay(const uint32_t* in, uint32_t* out, const cuda::Queue& queue) {
  cuda::launch_kernel(relay_kernel, {kRelayBlocks, kRelayThreads}, queue, in, out);
}

void launch_careless_copy(const CarelessCopy& copy, const cuda::Queue& queue) {
  const auto blocks = static_cast<unsigned>((copy.count + 127) / 128);
  cuda::launch_kernel(careless_copy_kernel, {blocks, 128}, queue, copy);
}

}  // namespace mm::testing
