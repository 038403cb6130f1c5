// Work split: a block of four warps makes 16 outputs (rows of W) of one expert for up to 32 rows of
// x; the warps share the depth in chunks of 256 bytes and meet in shared memory. The weights are
// the 16-row operand of mma.sync, straight from memory in 16-byte loads: the depth may be permuted
// as long as x is read in the same order, so thread t of a row takes 16 neighbouring bytes and
// feeds two products. x is read from the first-level cache. Blocks cover only experts that have
// rows. Shared memory: 4 × 16 × 33 floats. Expected limit: memory, the weights read once.
#include <algorithm>

#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/expert_rows.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/mma.cuh"
#include "ops/cuda/prim/prefetch.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/skinny_linear.h"

namespace mm::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kOutputs = 16;
constexpr int kMostTiles = 4;  // of 8 rows of x

struct Shared {
  float sums[kWarps][kOutputs][8 * kMostTiles + 1];
};

template <typename Element>
__device__ uint4 load_rows(const Element* x, int64_t at, bool inside) {
  return inside ? *reinterpret_cast<const uint4*>(x + at) : uint4{};
}

// Rows [first, first + rows) of x, at most 8 Tiles, by the block's 16 rows of W.
template <int Tiles, typename Element, typename Out>
__device__ void multiply(Shared& s, const LinearParams& p, const WeightRef& weight, int64_t first,
                         int rows) {
  constexpr int kLoad = 16 / sizeof(Element);
  constexpr int kChunk = 16 * kLoad;
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int g = static_cast<int>(threadIdx.x % 32 / 4);
  const int t = static_cast<int>(threadIdx.x % 4);
  const int64_t output = static_cast<int64_t>(blockIdx.x) * kOutputs;
  const int64_t depth = p.shape.cols;
  const auto* w = static_cast<const Element*>(weight.data);
  const Element* w0 = w + min(output + g, p.shape.rows - 1) * depth;
  const Element* w1 = w + min(output + g + 8, p.shape.rows - 1) * depth;
  const Element* x = static_cast<const Element*>(p.x) + (first + g) * depth;
  float sums[Tiles][4] = {};
  for (int64_t chunk = warp * kChunk; chunk < depth; chunk += kWarps * kChunk) {
    uint4 a[4];
    uint4 b[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t k = chunk + kLoad * (4 * i + t);
      a[i] = k < depth ? load_once(w0 + k) : uint4{};
      b[i] = k < depth ? load_once(w1 + k) : uint4{};
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int64_t k = chunk + kLoad * (4 * i + t);
#pragma unroll
      for (int tile = 0; tile < Tiles; ++tile) {
        const uint4 r = load_rows(x, 8 * tile * depth + k, g + 8 * tile < rows && k < depth);
        mma<Element>(sums[tile], a[i].x, b[i].x, a[i].y, b[i].y, r.x, r.y);
        mma<Element>(sums[tile], a[i].z, b[i].z, a[i].w, b[i].w, r.z, r.w);
      }
    }
  }
#pragma unroll
  for (int tile = 0; tile < Tiles; ++tile) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      s.sums[warp][g + i / 2 * 8][8 * tile + 2 * t + i % 2] = sums[tile][i];
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < rows * kOutputs; i += 32 * kWarps) {
    const int line = i % kOutputs;
    const int row = i / kOutputs;
    float sum = 0;
    for (int part = 0; part < kWarps; ++part) sum += s.sums[part][line][row];
    if (output + line >= p.shape.rows)
      continue;
    if constexpr (is_code<Element>())
      sum *= static_cast<const float*>(weight.scales)[output + line] * p.x_scales[first + row];
    static_cast<Out*>(p.out)[(first + row) * p.shape.rows + output + line] = from_f32<Out>(sum);
  }
  __syncthreads();
}

// Lines of the block's rows of W, all of which it reads in its first pass over the depth.
template <typename Element>
__device__ void prefetch_weights(const LinearParams& p, const WeightRef& weight) {
  const int64_t output = static_cast<int64_t>(blockIdx.x) * kOutputs;
  const auto bytes = p.shape.cols * static_cast<int64_t>(sizeof(Element));
  prefetch_rows<kOutputs, 32 * kWarps>(static_cast<const char*>(weight.data) + output * bytes,
                                       p.shape.rows - output, bytes);
}

template <typename Element, typename Out>
__global__ void __launch_bounds__(32 * kWarps)
    skinny_linear_kernel(const LinearParams p, const __grid_constant__ ExpertWeights weights) {
  __shared__ Shared s;
  let_next_start();
  if (p.offsets == nullptr)
    prefetch_weights<Element>(p, weights.at[0]);
  wait_for_previous();
  const ExpertRows group =
      find_expert_rows(p.offsets, p.experts, p.rows, static_cast<int>(blockIdx.y));
  if (group.expert < 0)
    return;
  const WeightRef& w = weights.at[group.expert];
  for (int done = 0; done < group.rows;) {
    const int left = group.rows - done;
    const int64_t first = group.first + done;
    if (left <= 8) {
      multiply<1, Element, Out>(s, p, w, first, left);
      done += 8;
    } else if (left <= 16) {
      multiply<2, Element, Out>(s, p, w, first, left);
      done += 16;
    } else {
      multiply<kMostTiles, Element, Out>(s, p, w, first, min(left, 8 * kMostTiles));
      done += 8 * kMostTiles;
    }
  }
}

}  // namespace

void launch_skinny_linear(const LinearParams& params, const ExpertWeights& weights, Queue queue) {
  const dim3 grid(static_cast<unsigned>((params.shape.rows + kOutputs - 1) / kOutputs),
                  static_cast<unsigned>(std::min<int64_t>(params.experts, params.rows)));
  visit_float(params.out_type, [&](auto out) {
    if (params.x_type == DType::kF8E4M3) {
      launch_kernel(skinny_linear_kernel<__nv_fp8_e4m3, decltype(out)>, {grid, 32 * kWarps}, queue,
                    params, weights);
    } else {
      launch_kernel(skinny_linear_kernel<bf16, decltype(out)>, {grid, 32 * kWarps}, queue, params,
                    weights);
    }
  });
}

}  // namespace mm::cuda
