// The plain form: one block of four warps a (row, head); each warp takes every fourth key, its
// lanes share the channels, and keeps a running maximum, total and output; the four are joined at
// the end in order. Shared memory: 4 × (K + 2) floats. Limited by latency: the path of f32 compute
// and of head sizes without a kernel of their own.
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/ragged.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/softmax_attention.h"

namespace mm::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kChannels = kMaxPlainHeadSize / 32;  // of a lane

struct Running {
  float largest = -INFINITY;
  float total = 0;
  float out[kChannels] = {};
};

// One key and its value, `lane + 32 i` being the channels of a lane.
template <typename Kv>
__device__ void attend(Running& run, const float* q, const Kv* key, const float* scales, int size,
                       float scale) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  float score = 0;
#pragma unroll
  for (int i = 0; i < kChannels; ++i) {
    if (lane + 32 * i < size)
      score = fmaf(q[i], to_f32(key[lane + 32 * i]), score);
  }
  score = warp_sum(score) * scale;
  float unit = 1;  // of the value's codes
  if constexpr (is_code<Kv>()) {
    score *= scales[0];
    unit = scales[kBlock];
  }
  const float largest = fmaxf(run.largest, score);
  const float keep = expf(run.largest - largest);
  const float weight = expf(score - largest);
  run.largest = largest;
  run.total = fmaf(run.total, keep, weight);
  const Kv* value = key + kBlock * size;
#pragma unroll
  for (int i = 0; i < kChannels; ++i) {
    if (lane + 32 * i < size)
      run.out[i] = fmaf(run.out[i], keep, weight * unit * to_f32(value[lane + 32 * i]));
  }
}

template <typename Q, typename Kv, typename Out>
__global__ void __launch_bounds__(32 * kWarps) softmax_plain_kernel(SoftmaxParams p) {
  extern __shared__ float shared[];  // [warp][size + 2]: output, largest, total
  let_next_start();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  const int head = static_cast<int>(blockIdx.y);
  const int size = p.kv.size;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int n = sequence_of(p.rows.offsets, p.rows.sequences, row);
  const int64_t position = p.rows.starts[n] + row - p.rows.offsets[n];
  const Q* source = static_cast<const Q*>(p.q.data) + row * p.q.row_stride +
                    static_cast<int64_t>(head) * p.q.head_stride;
  float q[kChannels];
#pragma unroll
  for (int i = 0; i < kChannels; ++i)
    q[i] = lane + 32 * i < size ? to_f32(source[lane + 32 * i]) : 0.0F;
  const int64_t kv_head = static_cast<int64_t>(head) * p.kv.heads / p.heads;
  Running run;
  for (int64_t key = warp; key <= position && key / kBlock < p.kv.blocks; key += kWarps) {
    const int64_t page = p.kv.table[n * p.kv.table_stride + key / kBlock];
    if (page < 0 || page >= p.kv.pages)
      continue;
    const int64_t line = ((page * p.kv.heads + kv_head) * 2) * kBlock + key % kBlock;
    attend(run, q, static_cast<const Kv*>(p.kv.data) + line * size, p.kv.scales + line, size,
           p.scale);
  }
  float* mine = shared + warp * (size + 2);
#pragma unroll
  for (int i = 0; i < kChannels; ++i) {
    if (lane + 32 * i < size)
      mine[lane + 32 * i] = run.out[i];
  }
  if (lane == 0) {
    mine[size] = run.largest;
    mine[size + 1] = run.total;
  }
  __syncthreads();
  float largest = -INFINITY;
  for (int w = 0; w < kWarps; ++w) largest = fmaxf(largest, shared[w * (size + 2) + size]);
  for (int c = static_cast<int>(threadIdx.x); c < size; c += 32 * kWarps) {
    float sum = 0;
    float total = 0;
    for (int w = 0; w < kWarps; ++w) {
      const float* part = shared + w * (size + 2);
      const float weight = expf(part[size] - largest);
      sum = fmaf(weight, part[c], sum);
      total = fmaf(weight, part[size + 1], total);
    }
    static_cast<Out*>(p.out)[(row * p.heads + head) * size + c] = from_f32<Out>(sum / total);
  }
}

}  // namespace

void launch_softmax_plain(const SoftmaxParams& params, Queue queue) {
  const dim3 grid(static_cast<unsigned>(params.rows.total), static_cast<unsigned>(params.heads));
  const size_t shared = sizeof(float) * kWarps * (static_cast<size_t>(params.kv.size) + 2);
  visit_float(params.q.dtype, [&](auto q) {
    visit_pages(params.kv.dtype, [&](auto kv) {
      visit_float(params.out_type, [&](auto out) {
        launch_kernel(softmax_plain_kernel<decltype(q), decltype(kv), decltype(out)>,
                      {grid, 32 * kWarps, shared}, queue, params);
      });
    });
  });
}

}  // namespace mm::cuda
