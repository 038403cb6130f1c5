// top-k: one warp a token, A rounds of a warp-wide maximum over the choices not taken yet.
// group: one block an expert; each block reads all ids, counts those of lower experts (where its
// rows begin) and ranks its own in order, 1024 choices at a time. The E-fold reading stays in L2:
// 64 KiB of ids for 8,192 tokens.
// gather, combine: one block a row. Limited by memory.
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/routing.h"

namespace mm::cuda {
namespace {

constexpr int kTokensPerBlock = 8;  // one warp each
constexpr int kGroupThreads = 1024;

struct Choice {
  float logit;
  int id;
};

__device__ bool is_better(const Choice& a, const Choice& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// The best choice that comes after `last` in the order of is_better.
__device__ Choice best_after(const RouteParams& p, const float* logits, const Choice& last) {
  Choice best{-INFINITY, p.experts};
  for (int e = static_cast<int>(threadIdx.x % 32); e < p.experts; e += 32) {
    const Choice choice{isnan(logits[e]) ? -INFINITY : logits[e], e};
    if (is_better(last, choice) && is_better(choice, best))
      best = choice;
  }
  for (int step = 16; step > 0; step /= 2) {
    const Choice other{__shfl_xor_sync(kWholeWarp, best.logit, step),
                       __shfl_xor_sync(kWholeWarp, best.id, step)};
    if (is_better(other, best))
      best = other;
  }
  return best;
}

__global__ void route_topk_kernel(RouteParams p) {
  let_next_start();
  wait_for_previous();
  const int64_t token = static_cast<int64_t>(blockIdx.x) * kTokensPerBlock + threadIdx.x / 32;
  if (token >= p.tokens)
    return;
  Choice last{INFINITY, -1};
  for (int a = 0; a < p.choices; ++a) {
    last = best_after(p, p.logits + token * p.experts, last);
    if (threadIdx.x % 32 == 0)
      p.ids[token * p.choices + a] = last.id;
  }
}

__global__ void route_weights_kernel(RouteParams p) {
  let_next_start();
  wait_for_previous();
  const int64_t token = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (token >= p.tokens)
    return;
  const float* logits = p.logits + token * p.experts;
  const int32_t* ids = p.ids + token * p.choices;
  const auto logit = [&](int a) { return logits[min(max(ids[a], 0), p.experts - 1)]; };
  float largest = -INFINITY;
  for (int a = 0; a < p.choices; ++a) largest = fmaxf(largest, logit(a));
  double total = 0;
  for (int a = 0; a < p.choices; ++a) total += exp(static_cast<double>(logit(a)) - largest);
  for (int a = 0; a < p.choices; ++a)
    p.weights[token * p.choices + a] =
        static_cast<float>(exp(static_cast<double>(logit(a)) - largest) / total);
}

// Number of set flags before this thread's, and in the whole block.
struct Ranks {
  int before;
  int total;
};

__device__ Ranks block_ranks(bool flag, int* scratch) {
  const unsigned votes = __ballot_sync(kWholeWarp, flag);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const unsigned lane = threadIdx.x % 32;
  __syncthreads();
  if (lane == 0)
    scratch[warp] = __popc(votes);
  __syncthreads();
  Ranks ranks{__popc(votes & ((1U << lane) - 1)), 0};
  for (int w = 0; w < kGroupThreads / 32; ++w) {
    ranks.before += w < warp ? scratch[w] : 0;
    ranks.total += scratch[w];
  }
  return ranks;
}

__global__ void __launch_bounds__(kGroupThreads) group_kernel(GroupParams p) {
  __shared__ int scratch[kGroupThreads / 32];
  let_next_start();
  wait_for_previous();
  const int expert = static_cast<int>(blockIdx.x);
  int lower = 0;
  for (int64_t i = threadIdx.x; i < p.count; i += kGroupThreads) lower += p.ids[i] < expert;
  const int first = block_sum(lower, scratch);
  int next = first;
  for (int64_t base = 0; base < p.count; base += kGroupThreads) {
    const int64_t i = base + threadIdx.x;
    const bool mine = i < p.count && p.ids[i] == expert;
    const Ranks ranks = block_ranks(mine, scratch);
    if (mine) {
      p.order[next + ranks.before] = static_cast<int32_t>(i / p.choices);
      p.positions[i] = next + ranks.before;
    }
    next += ranks.total;
  }
  if (threadIdx.x == 0) {
    p.offsets[expert] = first;
    if (expert == p.experts - 1)
      p.offsets[p.experts] = next;
  }
}

template <typename Word>
__global__ void gather_kernel(GatherParams p) {
  let_next_start();
  wait_for_previous();
  const int64_t row = p.index[blockIdx.x];
  const int64_t words = p.row_bytes / static_cast<int64_t>(sizeof(Word));
  const Word* x = static_cast<const Word*>(p.x) + row * words;
  Word* out = static_cast<Word*>(p.out) + blockIdx.x * words;
  const bool known = 0 <= row && row < p.x_rows;
  for (int64_t i = threadIdx.x; i < words; i += blockDim.x) out[i] = known ? x[i] : Word{};
}

__global__ void combine_kernel(CombineParams p) {
  let_next_start();
  wait_for_previous();
  const int64_t token = blockIdx.x;
  for (int64_t d = threadIdx.x; d < p.width; d += blockDim.x) {
    float sum = 0;
    for (int a = 0; a < p.choices; ++a) {
      const int64_t row = p.positions[token * p.choices + a];
      if (0 <= row && row < p.x_rows)
        sum = fmaf(p.weights[token * p.choices + a], p.x[row * p.width + d], sum);
    }
    p.out[token * p.width + d] = sum;
  }
}

unsigned blocks_for(int64_t items, int per_block) {
  return static_cast<unsigned>((items + per_block - 1) / per_block);
}

}  // namespace

void launch_route_topk(const RouteParams& params, Queue queue) {
  launch_kernel(route_topk_kernel,
                {blocks_for(params.tokens, kTokensPerBlock), 32 * kTokensPerBlock}, queue, params);
}

void launch_route_weights(const RouteParams& params, Queue queue) {
  launch_kernel(route_weights_kernel, {blocks_for(params.tokens, 128), 128}, queue, params);
}

void launch_group(const GroupParams& params, Queue queue) {
  launch_kernel(group_kernel, {static_cast<unsigned>(params.experts), kGroupThreads}, queue,
                params);
}

void launch_gather_rows(const GatherParams& params, Queue queue) {
  const auto bits = reinterpret_cast<uintptr_t>(params.x) | reinterpret_cast<uintptr_t>(params.out);
  const auto rows = static_cast<unsigned>(params.rows);
  if (bits % 16 == 0 && params.row_bytes % 16 == 0) {
    launch_kernel(gather_kernel<uint4>, {rows, 256}, queue, params);
  } else {
    launch_kernel(gather_kernel<uint16_t>, {rows, 256}, queue, params);
  }
}

void launch_combine_rows(const CombineParams& params, Queue queue) {
  launch_kernel(combine_kernel, {static_cast<unsigned>(params.tokens), 256}, queue, params);
}

}  // namespace mm::cuda
