// Eight neighbouring weights a thread, striding over the grid. No shared memory. Limited by memory:
// 1 or half a byte in, 2 out.
#include <algorithm>

#include "ops/cuda/check.h"
#include "ops/cuda/decode_weights.h"
#include "ops/cuda/prim/float.cuh"

namespace mm::cuda {
namespace {

constexpr int kThreads = 256;
using Eight = Pack<bf16, 8>;

__device__ Eight decode_int8(const WeightRef& w, int64_t pack) {
  const auto codes = static_cast<const Pack<int8_t, 8>*>(w.data)[pack];
  Eight result;
#pragma unroll
  for (int i = 0; i < 8; ++i) result.at[i] = from_f32<bf16>(static_cast<float>(codes.at[i]));
  return result;
}

template <typename Scale>
__device__ Eight decode_int4(const WeightRef& w, int group, int64_t pack) {
  const uint32_t word = static_cast<const uint32_t*>(w.data)[pack];
  // Groups are whole in a row, and rows lie one after the other.
  const float scale = to_f32(static_cast<const Scale*>(w.scales)[pack * 8 / group]);
  Eight result;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int code = static_cast<int>(word >> (4 * i) & 15U) - 8;
    result.at[i] = from_f32<bf16>(scale * static_cast<float>(code));
  }
  return result;
}

__global__ void __launch_bounds__(kThreads) decode_weights_kernel(const DecodeWeightsParams p) {
  const int64_t packs = p.shape.rows * p.shape.cols / 8;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * kThreads;
  auto* to = static_cast<Eight*>(p.to);
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < packs;
       i += stride) {
    if (p.shape.kind == WeightKind::kInt8) {
      to[i] = decode_int8(p.weight, i);
    } else if (p.shape.kind == WeightKind::kInt4F32) {
      to[i] = decode_int4<float>(p.weight, p.shape.group, i);
    } else {
      to[i] = decode_int4<bf16>(p.weight, p.shape.group, i);
    }
  }
}

}  // namespace

void launch_decode_weights(const DecodeWeightsParams& params, cudaStream_t stream) {
  const int64_t packs = params.shape.rows * params.shape.cols / 8;
  const auto blocks =
      static_cast<unsigned>(std::min<int64_t>((packs + kThreads - 1) / kThreads, 132 * 16));
  decode_weights_kernel<<<blocks, kThreads, 0, stream>>>(params);
  MM_CUDA(cudaGetLastError());
}

}  // namespace mm::cuda
