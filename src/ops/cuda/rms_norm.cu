// One block a row: a pass for the sum of squares, a pass for the products; the second reads the row
// from the caches. 128 bytes of shared memory. Limited by memory: 4 bytes in, 2 or 4 out.
#include "ops/cuda/check.h"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/rms_norm.h"

namespace mm::cuda {
namespace {

constexpr int kThreads = 256;

template <typename Out>
__global__ void rms_norm_kernel(RmsNormParams p) {
  __shared__ float scratch[32];
  const float* x = p.x + static_cast<int64_t>(blockIdx.x) * p.width;
  Out* out = static_cast<Out*>(p.out) + static_cast<int64_t>(blockIdx.x) * p.width;
  float squares = 0;
  for (int64_t d = threadIdx.x; d < p.width; d += kThreads) squares = fmaf(x[d], x[d], squares);
  squares = block_sum(squares, scratch);
  const float scale = 1.0F / sqrtf(squares / static_cast<float>(p.width) + p.eps);
  for (int64_t d = threadIdx.x; d < p.width; d += kThreads)
    out[d] = from_f32<Out>(p.weight[d] * x[d] * scale);
}

// The same, four neighbours at a time: width a multiple of 4.
template <typename Out>
__global__ void rms_norm4_kernel(RmsNormParams p) {
  __shared__ float scratch[32];
  const int64_t packs = p.width / 4;
  const auto* x = reinterpret_cast<const Pack4<float>*>(p.x) + blockIdx.x * packs;
  const auto* weight = reinterpret_cast<const Pack4<float>*>(p.weight);
  auto* out = static_cast<Pack4<Out>*>(p.out) + blockIdx.x * packs;
  float squares[4] = {};
  for (int64_t d = threadIdx.x; d < packs; d += kThreads) {
    const Pack4<float> v = x[d];
#pragma unroll
    for (int j = 0; j < 4; ++j) squares[j] = fmaf(v.at[j], v.at[j], squares[j]);
  }
  const float sum = block_sum((squares[0] + squares[1]) + (squares[2] + squares[3]), scratch);
  const float scale = 1.0F / sqrtf(sum / static_cast<float>(p.width) + p.eps);
  for (int64_t d = threadIdx.x; d < packs; d += kThreads) {
    const Pack4<float> v = x[d];
    const Pack4<float> w = weight[d];
    Pack4<Out> result;
#pragma unroll
    for (int j = 0; j < 4; ++j) result.at[j] = from_f32<Out>(w.at[j] * v.at[j] * scale);
    out[d] = result;
  }
}

}  // namespace

void launch_rms_norm(const RmsNormParams& params, cudaStream_t stream) {
  const auto rows = static_cast<unsigned>(params.rows);
  const auto bits = reinterpret_cast<uintptr_t>(params.x) |
                    reinterpret_cast<uintptr_t>(params.out) |
                    reinterpret_cast<uintptr_t>(params.weight);
  visit_float(params.out_type, [&](auto out) {
    using Out = decltype(out);
    if (params.width % 4 == 0 && bits % 16 == 0) {
      rms_norm4_kernel<Out><<<rows, kThreads, 0, stream>>>(params);
    } else {
      rms_norm_kernel<Out><<<rows, kThreads, 0, stream>>>(params);
    }
  });
  MM_CUDA(cudaGetLastError());
}

}  // namespace mm::cuda
