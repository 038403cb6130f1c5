// One block a row. The sum of a row stays in shared memory (4 bytes an element) until its norm is
// known, so every tensor crosses the memory bus once. Limited by memory: for a mixture of two bf16
// rows 8 bytes in, 6 out.
#include "ops/cuda/add_residual.h"
#include "ops/cuda/check.h"
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/prefetch.cuh"
#include "ops/cuda/prim/reduce.cuh"

namespace mm::cuda {
namespace {

constexpr int kThreads = 256;

// The same rounding of each product and of the sum as launch_add_scaled.
template <int Count>
__device__ Pack<float, Count> scaled_sum(const AddResidualParams& p,
                                         const Pack<float, Count>& residual,
                                         const Pack<float, Count>& branch) {
  Pack<float, Count> sum;
#pragma unroll
  for (int j = 0; j < Count; ++j)
    sum.at[j] = __fadd_rn(__fmul_rn(p.alpha, residual.at[j]), __fmul_rn(p.beta, branch.at[j]));
  return sum;
}

// Elements [Count · i, …) of the branch of `token`.
template <typename Branch, int Count>
__device__ Pack<float, Count> load_branch(const AddResidualParams& p, int64_t token, int64_t i) {
  const auto* packs = static_cast<const Pack<Branch, Count>*>(p.branch);
  const int64_t stride = p.width / Count;
  Pack<float, Count> result{};
  if (p.positions == nullptr) {
    const Pack<Branch, Count> row = packs[token * stride + i];
#pragma unroll
    for (int j = 0; j < Count; ++j) result.at[j] = to_f32(row.at[j]);
    return result;
  }
  for (int a = 0; a < p.choices; ++a) {
    const int64_t position = p.positions[token * p.choices + a];
    if (position < 0 || position >= p.branch_rows)
      continue;
    const float weight = p.weights[token * p.choices + a];
    const Pack<Branch, Count> row = packs[position * stride + i];
#pragma unroll
    for (int j = 0; j < Count; ++j) result.at[j] = fmaf(weight, to_f32(row.at[j]), result.at[j]);
  }
  return result;
}

template <typename Branch, typename Input, int Count>
__global__ void __launch_bounds__(kThreads) add_residual_kernel(const AddResidualParams p) {
  extern __shared__ __align__(16) float row[];
  __shared__ float scratch[32];
  let_next_start();
  if (p.weight != nullptr)
    prefetch_rows<1, kThreads>(p.weight, 1, p.width * static_cast<int64_t>(sizeof(float)));
  wait_for_previous();
  using Floats = Pack<float, Count>;
  const int64_t made = blockIdx.x;
  const int64_t token = p.only == nullptr ? made : p.only[made];
  const bool known = 0 <= token && token < p.tokens;
  const int64_t packs = p.width / Count;
  const auto* residual = reinterpret_cast<const Floats*>(p.residual) + token * packs;
  auto* kept = reinterpret_cast<Floats*>(row);
  float squares = 0;
  for (int64_t i = threadIdx.x; i < packs; i += kThreads) {
    Floats sum{};
    if (known) {
      sum = residual[i];
      if (p.branch != nullptr)
        sum = scaled_sum(p, sum, load_branch<Branch, Count>(p, token, i));
    }
#pragma unroll
    for (int j = 0; j < Count; ++j) {
      squares = fmaf(sum.at[j], sum.at[j], squares);
    }
    kept[i] = sum;
    if (p.sum != nullptr)
      reinterpret_cast<Floats*>(p.sum)[made * packs + i] = sum;
  }
  if (p.weight == nullptr)
    return;
  const float scale =
      1.0F / sqrtf(block_sum(squares, scratch) / static_cast<float>(p.width) + p.eps);
  const auto* weight = reinterpret_cast<const Floats*>(p.weight);
  for (int64_t i = threadIdx.x; i < packs; i += kThreads) {
    const Floats sum = kept[i];  // this thread's own
    const Floats w = weight[i];
    Floats normed;
    Pack<Input, Count> input;
#pragma unroll
    for (int j = 0; j < Count; ++j) {
      normed.at[j] = w.at[j] * sum.at[j] * scale;
      input.at[j] = from_f32<Input>(normed.at[j]);
    }
    reinterpret_cast<Floats*>(p.normed)[made * packs + i] = normed;
    if (p.input != nullptr)
      static_cast<Pack<Input, Count>*>(p.input)[made * packs + i] = input;
  }
}

bool is_aligned(const AddResidualParams& p) {
  uintptr_t bits = 0;
  for (const void* each : {static_cast<const void*>(p.residual), p.branch,
                           static_cast<const void*>(p.sum), static_cast<const void*>(p.weight),
                           static_cast<const void*>(p.normed), static_cast<const void*>(p.input)})
    bits |= reinterpret_cast<uintptr_t>(each);
  return bits % 16 == 0 && p.width % 4 == 0;
}

template <typename Branch, typename Input, int Count>
void launch(const AddResidualParams& p, Queue queue) {
  auto* kernel = add_residual_kernel<Branch, Input, Count>;
  const auto bytes = static_cast<int>(p.width * static_cast<int64_t>(sizeof(float)));
  if (bytes > 40 * 1024)
    MM_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
  launch_kernel(kernel, {static_cast<unsigned>(p.rows), kThreads, static_cast<size_t>(bytes)},
                queue, p);
}

}  // namespace

void launch_add_residual(const AddResidualParams& params, Queue queue) {
  visit_float(params.branch_type, [&](auto branch) {
    visit_float(params.input_type, [&](auto input) {
      if (is_aligned(params)) {
        launch<decltype(branch), decltype(input), 4>(params, queue);
      } else {
        launch<decltype(branch), decltype(input), 1>(params, queue);
      }
    });
  });
}

}  // namespace mm::cuda
