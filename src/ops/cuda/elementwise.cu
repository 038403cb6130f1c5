// Four elements a thread, in one access of each tensor where addresses allow it, else one by one.
// No shared memory. Limited by memory: 4 to 10 bytes move for an exponential and a division.
#include <algorithm>

#include "ops/cuda/check.h"
#include "ops/cuda/elementwise.h"
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"

namespace mm::cuda {
namespace {

constexpr int kThreads = 256;

template <ElementwiseOp Op>
__device__ float apply(float a, float b) {
  if constexpr (Op == ElementwiseOp::kCast) {
    return a;
  } else {
    const float denominator = 1.0F + expf(-a);
    if constexpr (Op == ElementwiseOp::kSilu) {
      return a / denominator;
    } else if constexpr (Op == ElementwiseOp::kSiluMul) {
      return a / denominator * b;
    } else {
      return 1.0F / denominator * b;
    }
  }
}

constexpr bool reads_b(ElementwiseOp op) {
  return op == ElementwiseOp::kSiluMul || op == ElementwiseOp::kSigmoidMul;
}

template <ElementwiseOp Op, typename A, typename Out>
__global__ void elementwise_kernel(const A* a, const float* b, Out* out, int64_t count) {
  let_next_start();
  wait_for_previous();
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride) {
    out[i] = from_f32<Out>(apply<Op>(to_f32(a[i]), reads_b(Op) ? b[i] : 0.0F));
  }
}

template <ElementwiseOp Op, typename A, typename Out>
__global__ void elementwise4_kernel(const A* a, const float* b, Out* out, int64_t packs) {
  let_next_start();
  wait_for_previous();
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < packs;
       i += stride) {
    const Pack4<A> x = reinterpret_cast<const Pack4<A>*>(a)[i];
    Pack4<float> y{};
    if constexpr (reads_b(Op))
      y = reinterpret_cast<const Pack4<float>*>(b)[i];
    Pack4<Out> result;
#pragma unroll
    for (int j = 0; j < 4; ++j) result.at[j] = from_f32<Out>(apply<Op>(to_f32(x.at[j]), y.at[j]));
    reinterpret_cast<Pack4<Out>*>(out)[i] = result;
  }
}

// One block a row, four neighbours a thread.
__global__ void round_rows_kernel(RoundRowsParams p) {
  const int packs = p.heads * p.size / 4;
  const float* from = static_cast<const float*>(p.x.data) + blockIdx.x * p.x.row_stride;
  auto* to = static_cast<Pack4<bf16>*>(p.to) + static_cast<int64_t>(blockIdx.x) * packs;
  for (int i = static_cast<int>(threadIdx.x); i < packs; i += kThreads) {
    const float* four = from + i * 4 / p.size * p.x.head_stride + i * 4 % p.size;
    Pack4<bf16> result;
#pragma unroll
    for (int j = 0; j < 4; ++j) result.at[j] = from_f32<bf16>(four[j]);
    to[i] = result;
  }
}

bool is_aligned(const ElementwiseParams& p) {
  const auto bits = reinterpret_cast<uintptr_t>(p.a) | reinterpret_cast<uintptr_t>(p.b) |
                    reinterpret_cast<uintptr_t>(p.out);
  return bits % 16 == 0 && p.count % 4 == 0;
}

template <ElementwiseOp Op, typename A, typename Out>
void launch(const ElementwiseParams& p, Queue queue) {
  const bool packed = is_aligned(p);
  const int64_t items = packed ? p.count / 4 : p.count;
  const auto blocks =
      static_cast<unsigned>(std::min<int64_t>((items + kThreads - 1) / kThreads, 132 * 16));
  const auto* a = static_cast<const A*>(p.a);
  auto* out = static_cast<Out*>(p.out);
  if (packed) {
    launch_kernel(elementwise4_kernel<Op, A, Out>, {blocks, kThreads}, queue, a, p.b, out, items);
  } else {
    launch_kernel(elementwise_kernel<Op, A, Out>, {blocks, kThreads}, queue, a, p.b, out, items);
  }
}

template <ElementwiseOp Op>
void launch_typed(const ElementwiseParams& p, Queue queue) {
  visit_float(p.a_type, [&](auto a) {
    visit_float(p.out_type, [&](auto out) { launch<Op, decltype(a), decltype(out)>(p, queue); });
  });
}

}  // namespace

void launch_round_rows(const RoundRowsParams& params, cudaStream_t stream) {
  round_rows_kernel<<<static_cast<unsigned>(params.rows), kThreads, 0, stream>>>(params);
  MM_CUDA(cudaGetLastError());
}

void launch_elementwise(ElementwiseOp op, const ElementwiseParams& params, Queue queue) {
  switch (op) {
    case ElementwiseOp::kCast:
      return launch_typed<ElementwiseOp::kCast>(params, queue);
    case ElementwiseOp::kSilu:
      return launch_typed<ElementwiseOp::kSilu>(params, queue);
    case ElementwiseOp::kSiluMul:
      return launch_typed<ElementwiseOp::kSiluMul>(params, queue);
    case ElementwiseOp::kSigmoidMul:
      return launch_typed<ElementwiseOp::kSigmoidMul>(params, queue);
  }
}

}  // namespace mm::cuda
