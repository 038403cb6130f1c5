// The plain product: a block makes 64 × 64 outputs of one expert, 256 threads 4 × 4 each, K in
// steps of 16 through shared memory (2 × 4.25 KiB), weights decoded on the way in. Limited by the
// f32 units: the path of f32 compute and of formats without a kernel of their own.
#include "ops/cuda/linear.h"
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/expert_tiles.cuh"
#include "ops/cuda/prim/weight.cuh"

namespace mm::cuda {
namespace {

constexpr int kTile = 64;
constexpr int kDepth = 16;
constexpr int kThreads = 256;
constexpr int kEach = 4;  // outputs of a thread in each direction

struct Panels {
  float x[kDepth][kTile + 4];
  float w[kDepth][kTile + 4];
};

template <WeightKind Kind, typename X>
__device__ void load_panels(Panels& panels, const LinearParams& p, const WeightRef& w,
                            const ExpertTile& tile, int64_t depth) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kTile;
  for (int i = static_cast<int>(threadIdx.x); i < kTile * kDepth; i += kThreads) {
    const int k = i % kDepth;
    const int line = i / kDepth;
    const bool inside = depth + k < p.shape.cols;
    const int64_t row = tile.first + line;
    panels.x[k][line] = inside && row < tile.end
                            ? to_f32(static_cast<const X*>(p.x)[row * p.shape.cols + depth + k])
                            : 0.0F;
    panels.w[k][line] = inside && column + line < p.shape.rows
                            ? decode<Kind>(w, p.shape, column + line, depth + k)
                            : 0.0F;
  }
}

template <WeightKind Kind, typename X, typename Out>
__global__ void __launch_bounds__(kThreads)
    linear_kernel(LinearParams p, const __grid_constant__ ExpertWeights weights) {
  __shared__ Panels panels;
  let_next_start();
  wait_for_previous();
  const ExpertTile tile = find_expert_tile(p.offsets, p.experts, p.rows, kTile, blockIdx.y);
  if (tile.expert < 0)
    return;
  const int tx = static_cast<int>(threadIdx.x % (kTile / kEach));
  const int ty = static_cast<int>(threadIdx.x / (kTile / kEach));
  float sums[kEach][kEach] = {};
  for (int64_t depth = 0; depth < p.shape.cols; depth += kDepth) {
    load_panels<Kind, X>(panels, p, weights.at[tile.expert], tile, depth);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < kDepth; ++k) {
#pragma unroll
      for (int i = 0; i < kEach; ++i) {
#pragma unroll
        for (int j = 0; j < kEach; ++j)
          sums[i][j] = fmaf(panels.x[k][ty * kEach + i], panels.w[k][tx * kEach + j], sums[i][j]);
      }
    }
    __syncthreads();
  }
  for (int i = 0; i < kEach; ++i) {
    const int64_t row = tile.first + ty * kEach + i;
    for (int j = 0; j < kEach; ++j) {
      const int64_t column = static_cast<int64_t>(blockIdx.x) * kTile + tx * kEach + j;
      if (row < tile.end && column < p.shape.rows)
        static_cast<Out*>(p.out)[row * p.shape.rows + column] = from_f32<Out>(sums[i][j]);
    }
  }
}

}  // namespace

void launch_linear(const LinearParams& params, const ExpertWeights& weights, Queue queue) {
  const int64_t columns = (params.shape.rows + kTile - 1) / kTile;
  const dim3 grid(static_cast<unsigned>(columns),
                  static_cast<unsigned>(most_expert_tiles(params.rows, params.experts, kTile)));
  visit_kind(params.shape.kind, [&](auto kind) {
    visit_float(params.x_type, [&](auto x) {
      visit_float(params.out_type, [&](auto out) {
        launch_kernel(linear_kernel<kind.value, decltype(x), decltype(out)>, {grid, kThreads},
                      queue, params, weights);
      });
    });
  });
}

}  // namespace mm::cuda
