// Work split: a block of four warps makes four outputs (rows of W) of one expert for up to eight
// rows of x at a time; the warps share the depth, and a lane takes 16 bytes of each of the four
// rows, twice before it computes. The sums of lanes and warps meet in a fixed order: an output does
// not depend on the other rows. x is read from the first-level cache. Blocks cover only experts
// that have rows. Shared memory: 4 × 4 × 8 floats. Expected limit: memory, the weights read once.
#include <algorithm>

#include "ops/cuda/narrow_linear.h"
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/expert_rows.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/mma.cuh"
#include "ops/cuda/prim/prefetch.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/prim/weight.cuh"

namespace mm::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kOutputs = 4;
constexpr int kRows = 8;

struct Shared {
  float sums[kWarps][kOutputs][kRows];
};

/// What a lane needs of 16 bytes of one row of W.
template <WeightKind Kind>
struct Words {
  static constexpr int kEach = Kind == WeightKind::kF32                                ? 4
                               : Kind == WeightKind::kBf16 || Kind == WeightKind::kF16 ? 8
                               : Kind == WeightKind::kInt8 || Kind == WeightKind::kFp8 ? 16
                                                                                       : 32;
  uint32_t at[4];
  float scale;  ///< of int4

  /// Weights 4·j to 4·j + 3, without the scale of an int8 or fp8 row.
  __device__ float4 four(int j) const {
    if constexpr (Kind == WeightKind::kF32) {
      return {__uint_as_float(at[0]), __uint_as_float(at[1]), __uint_as_float(at[2]),
              __uint_as_float(at[3])};
    } else if constexpr (Kind == WeightKind::kBf16) {
      // A bf16 is the upper half of an f32.
      const uint32_t a = at[2 * j];
      const uint32_t b = at[2 * j + 1];
      return {__uint_as_float(a << 16), __uint_as_float(a & 0xffff0000U), __uint_as_float(b << 16),
              __uint_as_float(b & 0xffff0000U)};
    } else if constexpr (Kind == WeightKind::kF16) {
      const float2 a = __half22float2(*reinterpret_cast<const __half2*>(&at[2 * j]));
      const float2 b = __half22float2(*reinterpret_cast<const __half2*>(&at[2 * j + 1]));
      return {a.x, a.y, b.x, b.y};
    } else if constexpr (Kind == WeightKind::kFp8) {
      const auto four = *reinterpret_cast<const Pack4<__nv_fp8_e4m3>*>(&at[j]);
      return {to_f32(four.at[0]), to_f32(four.at[1]), to_f32(four.at[2]), to_f32(four.at[3])};
    } else if constexpr (Kind == WeightKind::kInt8) {
      const auto code = [word = at[j]](int i) {
        return static_cast<float>(static_cast<int8_t>(word >> (8 * i)));
      };
      return {code(0), code(1), code(2), code(3)};
    } else {
      const auto weight = [this, half = at[j / 2] >> (16 * (j % 2))](int i) {
        return scale * static_cast<float>(static_cast<int>(half >> (4 * i) & 15U) - 8);
      };
      return {weight(0), weight(1), weight(2), weight(3)};
    }
  }
};

template <WeightKind Kind>
__device__ Words<Kind> load_words(const WeightRef& w, const WeightShape& shape, int64_t row,
                                  int64_t k) {
  Words<Kind> words{};
  if (k >= shape.cols)
    return words;
  constexpr int64_t kEach = Words<Kind>::kEach;
  const uint4 loaded =
      load_once(static_cast<const uint4*>(w.data) + (row * shape.cols + k) / kEach);
  words.at[0] = loaded.x;
  words.at[1] = loaded.y;
  words.at[2] = loaded.z;
  words.at[3] = loaded.w;
  if constexpr (Kind == WeightKind::kInt4F32 || Kind == WeightKind::kInt4Bf16) {
    const int64_t group = row * (shape.cols / shape.group) + k / shape.group;
    if constexpr (Kind == WeightKind::kInt4F32) {
      words.scale = static_cast<const float*>(w.scales)[group];
    } else {
      words.scale = to_f32(static_cast<const bf16*>(w.scales)[group]);
    }
  }
  return words;
}

__device__ float4 load_four(const float* x) {
  return *reinterpret_cast<const float4*>(x);
}
__device__ float4 load_four(const bf16* x) {
  const auto four = *reinterpret_cast<const Pack4<bf16>*>(x);
  return {to_f32(four.at[0]), to_f32(four.at[1]), to_f32(four.at[2]), to_f32(four.at[3])};
}

__device__ float add_dot(float sum, const float4& a, const float4& b) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

/// Adds the products of one load of each output's weights at depth k.
template <int Rows, WeightKind Kind, typename X>
__device__ void add_products(float (&sums)[kOutputs][Rows], const Words<Kind> (&words)[kOutputs],
                             const X* x, int64_t depth, int64_t k, int rows) {
  if (k >= depth)
    return;
#pragma unroll
  for (int j = 0; j < Words<Kind>::kEach / 4; ++j) {
    float4 w[kOutputs];
#pragma unroll
    for (int o = 0; o < kOutputs; ++o) w[o] = words[o].four(j);
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      if (r < rows) {
        const float4 four = load_four(x + r * depth + k + 4 * j);
#pragma unroll
        for (int o = 0; o < kOutputs; ++o) sums[o][r] = add_dot(sums[o][r], w[o], four);
      }
    }
  }
}

// Rows [first, first + rows) of x, at most Rows, by the block's rows of W.
template <int Rows, WeightKind Kind, typename X, typename Out>
__device__ void multiply(Shared& s, const LinearParams& p, const WeightRef& w, int64_t first,
                         int rows) {
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int64_t output = static_cast<int64_t>(blockIdx.x) * kOutputs;
  const int64_t depth = p.shape.cols;
  const X* x = static_cast<const X*>(p.x) + first * depth;
  constexpr int64_t kStep = 32 * Words<Kind>::kEach;  // of a warp
  float sums[kOutputs][Rows] = {};
  for (int64_t begin = warp * kStep; begin < depth; begin += 2 * kWarps * kStep) {
    const int64_t k = begin + lane * Words<Kind>::kEach;
    const int64_t next = k + kWarps * kStep;
    Words<Kind> a[kOutputs];
    Words<Kind> b[kOutputs];
#pragma unroll
    for (int o = 0; o < kOutputs; ++o) {
      const int64_t row = min(output + o, p.shape.rows - 1);
      a[o] = load_words<Kind>(w, p.shape, row, k);
      b[o] = load_words<Kind>(w, p.shape, row, next);
    }
    add_products<Rows, Kind>(sums, a, x, depth, k, rows);
    add_products<Rows, Kind>(sums, b, x, depth, next, rows);
  }
#pragma unroll
  for (int o = 0; o < kOutputs; ++o) {
#pragma unroll
    for (int r = 0; r < Rows; ++r) {
      const float sum = warp_sum(sums[o][r]);
      if (lane == 0)
        s.sums[warp][o][r] = sum;
    }
  }
  __syncthreads();
  const int o = static_cast<int>(threadIdx.x) % kOutputs;
  const int r = static_cast<int>(threadIdx.x) / kOutputs;
  if (r < rows && output + o < p.shape.rows) {
    float sum = 0;
    for (int part = 0; part < kWarps; ++part) sum += s.sums[part][o][r];
    if constexpr (Kind == WeightKind::kInt8 || Kind == WeightKind::kFp8)
      sum *= static_cast<const float*>(w.scales)[output + o];
    static_cast<Out*>(p.out)[(first + r) * p.shape.rows + output + o] = from_f32<Out>(sum);
  }
  __syncthreads();
}

// Lines of the block's rows of W, all of which it reads in its first pass over the depth.
template <WeightKind Kind>
__device__ void prefetch_weights(const LinearParams& p, const WeightRef& weight) {
  const int64_t output = static_cast<int64_t>(blockIdx.x) * kOutputs;
  const int64_t bytes = p.shape.cols / Words<Kind>::kEach * 16;
  prefetch_rows<kOutputs, 32 * kWarps>(static_cast<const char*>(weight.data) + output * bytes,
                                       p.shape.rows - output, bytes);
}

template <WeightKind Kind, typename X, typename Out>
__global__ void __launch_bounds__(32 * kWarps)
    narrow_linear_kernel(const LinearParams p, const __grid_constant__ ExpertWeights weights) {
  __shared__ Shared s;
  let_next_start();
  if (p.offsets == nullptr)
    prefetch_weights<Kind>(p, weights.at[0]);
  wait_for_previous();
  const ExpertRows group =
      find_expert_rows(p.offsets, p.experts, p.rows, static_cast<int>(blockIdx.y));
  if (group.expert < 0)
    return;
  const WeightRef& w = weights.at[group.expert];
  for (int done = 0; done < group.rows; done += kRows) {
    const int rows = min(group.rows - done, kRows);
    if (rows == 1) {
      multiply<1, Kind, X, Out>(s, p, w, group.first + done, rows);
    } else {
      multiply<kRows, Kind, X, Out>(s, p, w, group.first + done, rows);
    }
  }
}

}  // namespace

void launch_narrow_linear(const LinearParams& params, const ExpertWeights& weights, Queue queue) {
  const dim3 grid(static_cast<unsigned>((params.shape.rows + kOutputs - 1) / kOutputs),
                  static_cast<unsigned>(std::min<int64_t>(params.experts, params.rows)));
  visit_kind(params.shape.kind, [&](auto kind) {
    visit_float(params.x_type, [&](auto x) {
      visit_float(params.out_type, [&](auto out) {
        launch_kernel(narrow_linear_kernel<kind.value, decltype(x), decltype(out)>,
                      {grid, 32 * kWarps}, queue, params, weights);
      });
    });
  });
}

}  // namespace mm::cuda
