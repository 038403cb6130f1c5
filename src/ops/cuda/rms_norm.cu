// One block a row: a pass for the sum of squares, a pass for the products; the second reads the row
// from the caches. 128 bytes of shared memory. Limited by memory: 4 bytes in, 2 or 4 out, and those
// of a gate.
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/prefetch.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/rms_norm.h"

namespace mm::cuda {
namespace {

constexpr int kThreads = 256;

/// The gate of a norm that has none.
struct Open {};

// What the norm is multiplied by, after it.
__device__ float apply_gate(float gate, float normed) {
  return 1.0F / (1.0F + expf(-gate)) * normed;
}

template <typename In, typename Out, typename Gate, int Count>
__global__ void __launch_bounds__(kThreads) rms_norm_kernel(RmsNormParams p, const void* gates) {
  __shared__ float scratch[32];
  let_next_start();
  prefetch_rows<1, kThreads>(p.weight, 1, p.width * static_cast<int64_t>(sizeof(float)));
  wait_for_previous();
  constexpr bool kGated = !std::is_same_v<Gate, Open>;
  const int64_t packs = p.width / Count;
  const auto* x = static_cast<const Pack<In, Count>*>(p.x) + blockIdx.x * packs;
  const auto* weight = reinterpret_cast<const Pack<float, Count>*>(p.weight);
  const auto* gate = static_cast<const Pack<Gate, Count>*>(gates) + blockIdx.x * packs;
  auto* out = static_cast<Pack<Out, Count>*>(p.out) + blockIdx.x * packs;
  float squares[Count] = {};
  for (int64_t d = threadIdx.x; d < packs; d += kThreads) {
    const Pack<In, Count> v = x[d];
#pragma unroll
    for (int j = 0; j < Count; ++j) squares[j] = fmaf(to_f32(v.at[j]), to_f32(v.at[j]), squares[j]);
  }
  float sum = squares[0];
  if constexpr (Count == 4)
    sum = (squares[0] + squares[1]) + (squares[2] + squares[3]);
  const float scale = 1.0F / sqrtf(block_sum(sum, scratch) / static_cast<float>(p.width) + p.eps);
  for (int64_t d = threadIdx.x; d < packs; d += kThreads) {
    const Pack<In, Count> v = x[d];
    const Pack<float, Count> w = weight[d];
    Pack<Gate, Count> g{};
    if constexpr (kGated)
      g = gate[d];
    Pack<Out, Count> result;
#pragma unroll
    for (int j = 0; j < Count; ++j) {
      float normed = w.at[j] * to_f32(v.at[j]) * scale;
      if constexpr (kGated)
        normed = apply_gate(to_f32(g.at[j]), normed);
      result.at[j] = from_f32<Out>(normed);
    }
    out[d] = result;
  }
}

template <typename In, typename Gate>
void launch(const RmsNormParams& params, const void* gate, Queue queue) {
  const auto rows = static_cast<unsigned>(params.rows);
  const auto bits = reinterpret_cast<uintptr_t>(params.x) |
                    reinterpret_cast<uintptr_t>(params.out) | reinterpret_cast<uintptr_t>(gate) |
                    reinterpret_cast<uintptr_t>(params.weight);
  visit_float(params.out_type, [&](auto out) {
    using Out = decltype(out);
    if (params.width % 4 == 0 && bits % 16 == 0) {
      launch_kernel(rms_norm_kernel<In, Out, Gate, 4>, {rows, kThreads}, queue, params, gate);
    } else {
      launch_kernel(rms_norm_kernel<In, Out, Gate, 1>, {rows, kThreads}, queue, params, gate);
    }
  });
}

}  // namespace

void launch_rms_norm(const RmsNormParams& params, Queue queue) {
  launch<float, Open>(params, nullptr, queue);
}

void launch_gated_norm(const GatedNormParams& params, Queue queue) {
  visit_float(params.x_type, [&](auto x) {
    visit_float(params.gate_type, [&](auto gate) {
      launch<decltype(x), decltype(gate)>(params.norm, params.gate, queue);
    });
  });
}

}  // namespace mm::cuda
