// Work split: one block of threads per (sequence, head, half of the v channels), walking the
// sequence's 64-row blocks in order, so no state ever goes to memory between its ends: q, k, v are
// read once from memory (the halves of a head run side by side and share q and k in L2), out is
// written once. At 64 heads and one sequence that is 128 of 132 multiprocessors.
//   warps 0-3   state: S' [64 v × 128 k] in 64 registers a thread. Each block: publish S' as bf16,
//               then S' ← λ^64 S' + (V · λ^(63-t))' K
//   warps 4-7   output: P = Q K', Σ = Q S, then out = λ^(a-32) (λ^33 Σ + (P ∘ λ^(32-b), b ≤ a) V)
//   warp 8      one thread feeds the copy engine, four blocks of rows ahead
// The two factors of the decay never overflow: |a - 32| ≤ 32 and slopes are at most 2.
// Shared memory: 4 stages of q 16, k 16, v 8 KiB; published state 2 × 16 KiB; output 16 KiB: 208
// KiB. Expected limit: memory, 1,024 bytes a token and head (bf16 out); tensor work is 0.4 of that
// time.
#include "ops/cuda/check.h"
#include "ops/cuda/lightning_prefill_sm90.h"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/lightning_rows.cuh"
#include "ops/cuda/prim/matrix.cuh"
#include "ops/cuda/prim/tma.cuh"
#include "ops/cuda/prim/wgmma.cuh"

namespace mm::cuda {
namespace {

constexpr int kSize = 128;
constexpr int kHalf = 64;  // v channels of a block of threads
constexpr int kStages = 4;
constexpr int kThreads = 288;
constexpr int kGroup = 128;  // threads of a warpgroup
constexpr int kPanel = kBlock * 128;
constexpr int kCentre = kBlock / 2;

struct Stage {
  char q[2 * kPanel];  // [64-channel half][row][64] bf16, swizzled, as are k and v
  char k[2 * kPanel];
  char v[kPanel];
};

struct Shared {
  Stage stages[kStages];
  char state[2][2 * kPanel];  // [k half][v][64] bf16, swizzled
  char out[2 * kPanel];       // [row][64] bf16, or [32-channel group][row][32] f32; swizzled
  uint64_t full[kStages], empty[kStages];
  uint64_t state_full[2], state_empty[2];
};

// A sequence's blocks after its first boundary.
struct Walk {
  int64_t first;  // row of the step
  int blocks;     // whole ones
  int rest;       // rows after them
  int64_t place;  // slot · H + head
};

__device__ Walk make_walk(const LightningParams& p, int head, int n) {
  const LightningSpan span = lightning_span(p, n);
  const int64_t skip = rows_to_boundary(span.start);
  const int64_t count = span.count > skip ? span.count - skip : 0;
  return {span.first + skip, static_cast<int>(count / kBlock), static_cast<int>(count % kBlock),
          span.slot * p.heads + head};
}

__device__ void produce(Shared& s, const LightningMaps& maps, const Walk& walk, int head,
                        int half) {
  RingPlace at;
  const int total = walk.blocks + (walk.rest > 0 ? 1 : 0);
  for (int b = 0; b < total; ++b) {
    Stage& stage = s.stages[at.stage];
    uint64_t* full = &s.full[at.stage];
    const int row = static_cast<int>(walk.first + static_cast<int64_t>(b) * kBlock);
    barrier_wait(&s.empty[at.stage], at.parity ^ 1U);
    barrier_expect(full, sizeof(Stage));
    tma_load_4d(stage.k, &maps.k, full, 0, row, 0, head);
    tma_load_4d(stage.v, &maps.v, full, 0, row, half, head);
    tma_load_4d(stage.q, &maps.q, full, 0, row, 0, head);
    at.advance(kStages);
  }
}

// ---- state -------------------------------------------------------------------------------------

struct StateThread {
  int warp, group, pair;  // within the warpgroup; t / 4 and t % 4 of the lane
  float sum[64];          // S', rows v = 16 warp + group (+ 8), columns k

  __device__ StateThread() {
    warp = static_cast<int>(threadIdx.x % kGroup / 32);
    group = static_cast<int>(threadIdx.x % 32 / 4);
    pair = static_cast<int>(threadIdx.x % 4);
  }

  // The state in global memory, f32 [v][k], from row 64 half on.
  __device__ float* row(float* state, int i) const {
    return state + (16 * warp + group + 8 * i) * kSize + 2 * pair;
  }
  __device__ void load(float* state) {
#pragma unroll
    for (int j = 0; j < 16; ++j) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const float2 two = *reinterpret_cast<const float2*>(row(state, i) + 8 * j);
        sum[4 * j + 2 * i] = two.x;
        sum[4 * j + 2 * i + 1] = two.y;
      }
    }
  }
  __device__ void store(float* state) const {
#pragma unroll
    for (int j = 0; j < 16; ++j) {
#pragma unroll
      for (int i = 0; i < 2; ++i)
        *reinterpret_cast<float2*>(row(state, i) + 8 * j) = {sum[4 * j + 2 * i],
                                                             sum[4 * j + 2 * i + 1]};
    }
  }

  // Rounds the state to bf16 into shared memory, [k half][v][64].
  __device__ void publish(char* to) const {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int v = 16 * warp + lane / 8 % 2 * 8 + lane % 8;
#pragma unroll
    for (int j = 0; j < 16; j += 2) {
      uint32_t words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) words[i] = pack_bf16(sum[4 * j + 2 * i], sum[4 * j + 2 * i + 1]);
      const int chunk = j % 8 + lane / 16;
      store_matrices(
          shared_address(to) + static_cast<uint32_t>(j / 8 * kPanel) + swizzled(v, chunk), words);
    }
  }

  // Rows of V' for 16 tokens, each scaled by its decay to the end of the block.
  __device__ void load_values(uint32_t (&words)[4], const char* v, int step,
                              const float* decay) const {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int token = 16 * step + lane / 16 * 8 + lane % 8;
    load_matrices_transposed(words, shared_address(v) + swizzled(token, 2 * warp + lane / 8 % 2));
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const float low = __uint_as_float(words[i] << 16) * decay[i / 2 * 2];
      const float high = __uint_as_float(words[i] & 0xffff0000U) * decay[i / 2 * 2 + 1];
      words[i] = pack_bf16(low, high);
    }
  }
};

// Keeps the rows after the last whole block as the tail: this half's v and k channels.
__device__ void keep_tail(const LightningParams& p, const Stage& stage, const Walk& walk,
                          int half) {
  const int64_t base = walk.place * kBlock * kSize + half * kHalf;
  for (int i = static_cast<int>(threadIdx.x % kGroup); i < walk.rest * 8; i += kGroup) {
    const int row = i / 8;
    const int64_t to = base + row * kSize + i % 8 * 8;
    const uint32_t from = swizzled(row, i % 8);
    *reinterpret_cast<uint4*>(static_cast<bf16*>(p.tail_k) + to) =
        *reinterpret_cast<const uint4*>(stage.k + half * kPanel + from);
    *reinterpret_cast<uint4*>(static_cast<bf16*>(p.tail_v) + to) =
        *reinterpret_cast<const uint4*>(stage.v + from);
  }
}

__device__ void carry_state(Shared& s, const LightningParams& p, const Walk& walk, float slope,
                            int half) {
  StateThread thread;
  float decay[16];  // of tokens 16 step + 2 pair + {0, 1, 8, 9}
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const int token = i / 4 * 16 + 2 * thread.pair + i % 2 + i % 4 / 2 * 8;
    decay[i] = expf(-slope * static_cast<float>(kBlock - 1 - token));
  }
  const float whole = expf(-slope * kBlock);
  float* state = p.states + walk.place * kSize * kSize + half * kHalf * kSize;
  thread.load(state);
  RingPlace at;
  RingPlace published;
  for (int b = 0; b < walk.blocks; ++b) {
    barrier_wait(&s.state_empty[published.stage], published.parity ^ 1U);
    thread.publish(s.state[published.stage]);
    fence_async_shared();
    barrier_arrive_warp(&s.state_full[published.stage]);
    published.advance(2);

    const Stage& stage = s.stages[at.stage];
    barrier_wait(&s.full[at.stage], at.parity);
    uint32_t values[4][4];
#pragma unroll
    for (int step = 0; step < 4; ++step)
      thread.load_values(values[step], stage.v, step, decay + 4 * step);
#pragma unroll
    for (int i = 0; i < 64; ++i) thread.sum[i] *= whole;
    const uint64_t keys = wgmma_operand(stage.k, 1024, kPanel);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < 4; ++step)
      wgmma<1>(thread.sum, values[step], wgmma_advance(keys, 2048 * step), 1);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_touch(thread.sum);
    barrier_arrive_warp(&s.empty[at.stage]);
    at.advance(kStages);
  }
  if (walk.rest > 0) {
    barrier_wait(&s.state_empty[published.stage], published.parity ^ 1U);
    thread.publish(s.state[published.stage]);
    fence_async_shared();
    barrier_arrive_warp(&s.state_full[published.stage]);
    barrier_wait(&s.full[at.stage], at.parity);
    keep_tail(p, s.stages[at.stage], walk, half);
  }
  thread.store(state);
}

// ---- output ------------------------------------------------------------------------------------

// Values after the end of a sequence belong to others and may be anything: zero times them must
// stay zero.
__device__ void clear_values(char* v, int rest) {
  for (int i = static_cast<int>(threadIdx.x % kGroup); i < (kBlock - rest) * 8; i += kGroup)
    *reinterpret_cast<uint4*>(v + (rest + i / 8) * 128 + i % 8 * 16) = uint4{};
  fence_async_shared();
  named_barrier(1, kGroup);
}

struct OutputThread {
  int warp, group, pair;
  float rows[2];      // λ^(a - 32) of its two rows
  float columns[16];  // λ^(32 - b) of columns 8 j + 2 pair + {0, 1}

  __device__ explicit OutputThread(float slope) {
    warp = static_cast<int>(threadIdx.x % kGroup / 32);
    group = static_cast<int>(threadIdx.x % 32 / 4);
    pair = static_cast<int>(threadIdx.x % 4);
    for (int i = 0; i < 2; ++i) rows[i] = expf(-slope * static_cast<float>(row(i) - kCentre));
#pragma unroll
    for (int i = 0; i < 16; ++i)
      columns[i] = expf(slope * static_cast<float>(i / 2 * 8 + 2 * pair + i % 2 - kCentre));
  }
  __device__ int row(int i) const {
    return 16 * warp + group + 8 * i;
  }

  // Decays the scores and rounds them to operands of the next product.
  __device__ void weigh(const float (&scores)[32], uint32_t (&words)[4][4]) const {
#pragma unroll
    for (int j = 0; j < 8; ++j) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int column = 8 * j + 2 * pair;
        const float low = column <= row(i) ? scores[4 * j + 2 * i] * columns[2 * j] : 0.0F;
        const float high =
            column + 1 <= row(i) ? scores[4 * j + 2 * i + 1] * columns[2 * j + 1] : 0.0F;
        words[j / 2][j % 2 * 2 + i] = pack_bf16(low, high);
      }
    }
  }

  // Into the staging tile, as the copy engine reads it.
  template <typename Out>
  __device__ void stage(const float (&out)[32], char* tile) const {
    const int lane = static_cast<int>(threadIdx.x % 32);
    if constexpr (sizeof(Out) == 2) {
#pragma unroll
      for (int j = 0; j < 8; j += 2) {
        uint32_t words[4];
#pragma unroll
        for (int i = 0; i < 4; ++i)
          words[i] = pack_bf16(out[4 * j + 2 * i], out[4 * j + 2 * i + 1]);
        store_matrices(
            shared_address(tile) + swizzled(16 * warp + lane / 8 % 2 * 8 + lane % 8, j + lane / 16),
            words);
      }
    } else {
#pragma unroll
      for (int j = 0; j < 8; ++j) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          char* to = tile + j / 4 * kPanel + swizzled(row(i), j % 4 * 2 + pair / 2) + pair % 2 * 8;
          *reinterpret_cast<float2*>(to) = {out[4 * j + 2 * i], out[4 * j + 2 * i + 1]};
        }
      }
    }
  }

  // Straight to memory: the rows of an unfinished block.
  template <typename Out>
  __device__ void store(const float (&out)[32], Out* to, int64_t stride, int rest) const {
#pragma unroll
    for (int j = 0; j < 8; ++j) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        if (row(i) < rest) {
          Out* two = to + row(i) * stride + 8 * j + 2 * pair;
          two[0] = from_f32<Out>(out[4 * j + 2 * i]);
          two[1] = from_f32<Out>(out[4 * j + 2 * i + 1]);
        }
      }
    }
  }
};

template <typename Out>
__device__ void make_output(Shared& s, const LightningParams& p, const CUtensorMap* out_map,
                            const Walk& walk, float slope, int head, int half) {
  const OutputThread thread(slope);
  const float enter = expf(-slope * (kCentre + 1));
  const bool leader = threadIdx.x % kGroup == 0;
  const int total = walk.blocks + (walk.rest > 0 ? 1 : 0);
  RingPlace at;
  RingPlace published;
  for (int b = 0; b < total; ++b) {
    Stage& stage = s.stages[at.stage];
    barrier_wait(&s.full[at.stage], at.parity);
    if (b == walk.blocks)
      clear_values(stage.v, walk.rest);
    float scores[32];
    float out[32];
    const uint64_t q = wgmma_operand(stage.q, 1024, 0);
    const uint64_t k = wgmma_operand(stage.k, 1024, 0);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < 8; ++step) {
      const uint32_t offset = step / 4 * kPanel + step % 4 * 32;
      wgmma<0>(scores, wgmma_advance(q, offset), wgmma_advance(k, offset), step > 0);
    }
    wgmma_commit();
    barrier_wait(&s.state_full[published.stage], published.parity);
    const uint64_t state = wgmma_operand(s.state[published.stage], 1024, 0);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < 8; ++step) {
      const uint32_t offset = step / 4 * kPanel + step % 4 * 32;
      wgmma<0>(out, wgmma_advance(q, offset), wgmma_advance(state, offset), step > 0);
    }
    wgmma_commit();
    wgmma_wait<1>();
    wgmma_touch(scores);
    uint32_t weights[4][4];
    thread.weigh(scores, weights);
    wgmma_wait<0>();
    wgmma_touch(out);
    barrier_arrive_warp(&s.state_empty[published.stage]);
    published.advance(2);
#pragma unroll
    for (int i = 0; i < 32; ++i) out[i] *= enter;
    const uint64_t v = wgmma_operand(stage.v, 1024, 0);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < 4; ++step)
      wgmma<1>(out, weights[step], wgmma_advance(v, 2048 * step), 1);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_touch(out);
    barrier_arrive_warp(&s.empty[at.stage]);
    at.advance(kStages);
#pragma unroll
    for (int i = 0; i < 32; ++i) out[i] *= thread.rows[i % 4 / 2];

    const int64_t row = walk.first + static_cast<int64_t>(b) * kBlock;
    if (b == walk.blocks) {
      Out* to = static_cast<Out*>(p.out) + (row * p.heads + head) * kSize + half * kHalf;
      thread.store(out, to, static_cast<int64_t>(p.heads) * kSize, walk.rest);
      continue;
    }
    if (leader)
      tma_store_wait_read<0>();
    named_barrier(1, kGroup);
    thread.stage<Out>(out, s.out);
    fence_async_shared();
    named_barrier(1, kGroup);
    if (leader) {
      tma_store_4d(out_map, s.out, 0, static_cast<int>(row),
                   half * static_cast<int>(sizeof(Out) / 2), head);
      tma_store_commit();
    }
  }
  if (leader)
    tma_store_wait();
}

template <typename Out>
__global__ void __launch_bounds__(kThreads, 1)
    lightning_prefill_kernel(const LightningParams p, const __grid_constant__ LightningMaps maps) {
  extern __shared__ __align__(1024) char memory[];
  Shared& s = *reinterpret_cast<Shared*>(memory);
  const int half = static_cast<int>(blockIdx.x);
  const int head = static_cast<int>(blockIdx.y);
  const Walk walk = make_walk(p, head, static_cast<int>(blockIdx.z));
  if (walk.blocks + walk.rest == 0)
    return;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(&s.full[i], 1);
      barrier_init(&s.empty[i], 8);
    }
    for (int i = 0; i < 2; ++i) {
      barrier_init(&s.state_full[i], 4);
      barrier_init(&s.state_empty[i], 4);
    }
    barrier_init_fence();
  }
  __syncthreads();
  const float slope = p.slopes[head];
  const int role = uniform_warpgroup();
  if (role == 0) {
    carry_state(s, p, walk, slope, half);
  } else if (role == 1) {
    make_output<Out>(s, p, &maps.out, walk, slope, head, half);
  } else if (threadIdx.x == 2 * kGroup) {
    produce(s, maps, walk, head, half);
  }
}

}  // namespace

void launch_lightning_prefill(const LightningParams& params, const LightningMaps& maps,
                              cudaStream_t stream) {
  const dim3 grid(2, static_cast<unsigned>(params.heads),
                  static_cast<unsigned>(params.rows.sequences));
  visit_float(params.out_type, [&](auto out) {
    auto* kernel = lightning_prefill_kernel<decltype(out)>;
    MM_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(sizeof(Shared))));
    kernel<<<grid, kThreads, sizeof(Shared), stream>>>(params, maps);
  });
  MM_CUDA(cudaGetLastError());
}

}  // namespace mm::cuda
