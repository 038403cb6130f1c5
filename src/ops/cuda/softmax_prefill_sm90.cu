// Work split: one block of threads per (query head, 128 rows of one sequence). Blocks that share a
// key/value head start one after another, so that its pages stay in L2, among them later rows,
// which see more keys, first. Two warpgroups of 64 rows each; a third feeds the copy engine.
// Tiles of 128 keys are two pages of 64. The scores of the next tile are multiplied while the
// weights of the last one are exponentiated and summed with its values:
//   S_0 = Q K_0';  for j: { S_j = Q K_j', O += P_(j-1) V_(j-1) queued together; weigh S_j };
//   O += P V of the last
// The warpgroups take turns queueing, so one exponentiates while the other's products run.
// P stays in registers: an accumulator is the operand of the next product after packing.
// Pages of codes are copied to shared memory as they are; there the third warpgroup makes bf16 of
// them, each row times its scale.
// Shared memory: q 32 KiB, 2 stages each of k and v 32 KiB, for codes 3 more of 16 KiB: 211 KiB.
// Expected limit: the tensor cores; one exponential a score takes half of that time beside them.
#include <type_traits>

#include "ops/cuda/check.h"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/matrix.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/prim/special_unit.cuh"
#include "ops/cuda/prim/tma.cuh"
#include "ops/cuda/prim/wgmma.cuh"
#include "ops/cuda/softmax_prefill_sm90.h"

namespace mm::cuda {
namespace {

constexpr int kSize = 128;
constexpr int kRows = 128;  // of a block of threads
constexpr int kKeys = 128;  // of a tile
constexpr int kStages = 2;
constexpr int kCodeTiles = 3;  // on their way, or being widened
constexpr int kGroup = 128;    // threads of a warpgroup
constexpr int kThreads = 3 * kGroup;
constexpr int kPanel = kKeys * 128;
constexpr int kBeside = 16;  // of a thread's 64 weights of a tile
constexpr int kTurn = 4;     // named barriers: warpgroup 0's, then 1's turn to queue products
constexpr float kLog2E = 1.44269504F;

// Tiles of codes with their scales.
template <int Count>
struct CodeTiles {
  char tiles[Count][kPanel];  // [key][128] codes, swizzled
  float scales[Count][kKeys];
  uint64_t full[Count], empty[Count];
};
template <>
struct CodeTiles<0> {};

template <typename Kv>
struct Shared {
  char q[2 * kPanel];           // [64-channel half][row][64] bf16, swizzled
  char k[kStages][2 * kPanel];  // [half][key][64], as is v
  char v[kStages][2 * kPanel];
  CodeTiles<is_code<Kv>() ? kCodeTiles : 0> codes;  // tiles before they are widened
  float held[2 * kGroup];                           // a place a thread: store_before_wait()
  uint64_t k_full[kStages], k_empty[kStages], v_full[kStages], v_empty[kStages];
};

// 128 rows of one sequence.
struct Job {
  int sequence = -1;
  int64_t first = 0;     // row of the step
  int rows = 0;          // at most kRows
  int64_t position = 0;  // of the first row
  int tiles = 0;         // of keys
  int64_t keys = 0;      // that exist and are needed
};

__device__ Job find_job(const SoftmaxParams& p, int64_t index) {
  for (int n = 0; n < p.rows.sequences; ++n) {
    const int64_t begin = p.rows.offsets[n];
    const int64_t count = p.rows.offsets[n + 1] - begin;
    const int64_t jobs = (count + kRows - 1) / kRows;
    if (index < jobs) {
      const int64_t from = (jobs - 1 - index) * kRows;
      Job job{n, begin + from, static_cast<int>(min(count - from, static_cast<int64_t>(kRows))),
              p.rows.starts[n] + from};
      job.keys = min(job.position + job.rows, p.kv.blocks * kBlock);
      job.tiles = static_cast<int>((job.keys + kKeys - 1) / kKeys);
      return job;
    }
    index -= jobs;
  }
  return {};
}

// Page `block` of the job's keys; one that does not exist is read as the first.
__device__ int page_line(const SoftmaxParams& p, const Job& job, int64_t block, int kv_head) {
  int64_t page = 0;
  if (block < p.kv.blocks && block * kBlock < job.keys)
    page = p.kv.table[job.sequence * p.kv.table_stride + block];
  page = page < 0 || page >= p.kv.pages ? 0 : page;
  return static_cast<int>(((page * p.kv.heads + kv_head) * 2) * kBlock);
}

__device__ void load_tile(char* to, const CUtensorMap* map, uint64_t* full, const int (&lines)[2],
                          int which) {
  barrier_expect(full, 2 * kPanel);
#pragma unroll
  for (int page = 0; page < 2; ++page) {
#pragma unroll
    for (int half = 0; half < 2; ++half)
      tma_load_2d(to + half * kPanel + page * kBlock * 128, map, full, 64 * half,
                  lines[page] + which * kBlock);
  }
}

// One thread: pages of bf16 are copied to where they are multiplied.
__device__ void produce(Shared<bf16>& s, const SoftmaxParams& p, const CUtensorMap* map,
                        const Job& job, int kv_head) {
  if (threadIdx.x != 2 * kGroup)
    return;
  RingPlace at;
  for (int tile = 0; tile < job.tiles; ++tile) {
    const int lines[2] = {page_line(p, job, 2 * tile, kv_head),
                          page_line(p, job, 2 * tile + 1, kv_head)};
    barrier_wait(&s.k_empty[at.stage], at.parity ^ 1U);
    load_tile(s.k[at.stage], map, &s.k_full[at.stage], lines, 0);
    barrier_wait(&s.v_empty[at.stage], at.parity ^ 1U);
    load_tile(s.v[at.stage], map, &s.v_full[at.stage], lines, 1);
    at.advance(kStages);
  }
}

// Copies the codes and scales of step `step` to `slot`: tile step / 2, its keys (even) or its
// values.
template <typename Kv>
__device__ void load_codes(Shared<Kv>& s, const SoftmaxParams& p, const CUtensorMap* map,
                           const Job& job, int kv_head, int step, int slot) {
  uint64_t* full = &s.codes.full[slot];
  barrier_expect(full, kPanel + kKeys * sizeof(float));
#pragma unroll
  for (int page = 0; page < 2; ++page) {
    const int line = page_line(p, job, step / 2 * 2 + page, kv_head) + step % 2 * kBlock;
    tma_load_2d(s.codes.tiles[slot] + page * kBlock * 128, map, full, 0, line);
    bulk_load(s.codes.scales[slot] + page * kBlock, p.kv.scales + line, kBlock * sizeof(float),
              full);
  }
}

// Four codes times their scale, rounded to bf16.
template <typename Kv>
__device__ uint2 widen_four(uint32_t codes, float scale) {
  const float4 x = four_floats<Kv>(codes);
  return {pack_bf16(x.x * scale, x.y * scale), pack_bf16(x.z * scale, x.w * scale)};
}

// A tile of codes as bf16, each row times its scale. All threads of the warpgroup. A thread reads
// all its codes before it writes: the compiler cannot tell that it may.
template <typename Kv>
__device__ void widen_tile(char* to, const char* codes, const float* scales) {
  constexpr int kChunks = kKeys * 8 / kGroup;  // of 16 channels, a thread
  const int chunk = static_cast<int>(threadIdx.x % 8);
  const int first = static_cast<int>(threadIdx.x % kGroup) / 8;
  uint4 from[kChunks];
  float of_row[kChunks];
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    const int row = first + i * kGroup / 8;
    from[i] = *reinterpret_cast<const uint4*>(codes + swizzled(row, chunk));
    of_row[i] = scales[row];
  }
#pragma unroll
  for (int i = 0; i < kChunks; ++i) {
    const int row = first + i * kGroup / 8;
    const uint2 low = widen_four<Kv>(from[i].x, of_row[i]);
    const uint2 low_end = widen_four<Kv>(from[i].y, of_row[i]);
    const uint2 high = widen_four<Kv>(from[i].z, of_row[i]);
    const uint2 high_end = widen_four<Kv>(from[i].w, of_row[i]);
    char* panel = to + chunk / 4 * kPanel;
    *reinterpret_cast<uint4*>(panel + swizzled(row, chunk % 4 * 2)) =
        uint4{low.x, low.y, low_end.x, low_end.y};
    *reinterpret_cast<uint4*>(panel + swizzled(row, chunk % 4 * 2 + 1)) =
        uint4{high.x, high.y, high_end.x, high_end.y};
  }
  fence_async_shared();
}

// The whole warpgroup: while a tile of codes is widened, others are on their way.
template <typename Kv>
__device__ void produce(Shared<Kv>& s, const SoftmaxParams& p, const CUtensorMap* map,
                        const Job& job, int kv_head) {
  const int steps = 2 * job.tiles;
  const bool leads = threadIdx.x == 2 * kGroup;
  if (leads) {
    for (int step = 0; step < min(steps, kCodeTiles); ++step)
      load_codes(s, p, map, job, kv_head, step, step);
  }
  RingPlace at;
  RingPlace from;
  for (int step = 0; step < steps; ++step) {
    const bool keys = step % 2 == 0;
    const int slot = from.stage;
    barrier_wait(&s.codes.full[slot], from.parity);
    barrier_wait(keys ? &s.k_empty[at.stage] : &s.v_empty[at.stage], at.parity ^ 1U);
    widen_tile<Kv>(keys ? s.k[at.stage] : s.v[at.stage], s.codes.tiles[slot], s.codes.scales[slot]);
    // Each thread for itself, as compute-sanitizer follows what they wrote and read.
    barrier_arrive(keys ? &s.k_full[at.stage] : &s.v_full[at.stage]);
    barrier_arrive(&s.codes.empty[slot]);
    if (leads && step + kCodeTiles < steps) {
      barrier_wait(&s.codes.empty[slot], from.parity);
      load_codes(s, p, map, job, kv_head, step + kCodeTiles, slot);
    }
    from.advance(kCodeTiles);
    if (!keys)
      at.advance(kStages);
  }
}

// The warpgroup's 64 rows of q, rounded to bf16, rows behind the end as zeros.
template <typename Q, typename Kv>
__device__ void load_query(Shared<Kv>& s, const SoftmaxParams& p, const Job& job, int head,
                           int group) {
  for (int i = static_cast<int>(threadIdx.x % kGroup); i < 64 * 16; i += kGroup) {
    const int row = 64 * group + i / 16;
    const int chunk = i % 16;
    uint32_t words[4] = {};
    if (row < job.rows) {
      const Q* from = static_cast<const Q*>(p.q.data) + (job.first + row) * p.q.row_stride +
                      static_cast<int64_t>(head) * p.q.head_stride + 8 * chunk;
      Pack4<Q> four[2];
#pragma unroll
      for (int j = 0; j < 2; ++j) four[j] = reinterpret_cast<const Pack4<Q>*>(from)[j];
#pragma unroll
      for (int j = 0; j < 4; ++j)
        words[j] =
            pack_bf16(to_f32(four[j / 2].at[j % 2 * 2]), to_f32(four[j / 2].at[j % 2 * 2 + 1]));
    }
    *reinterpret_cast<uint4*>(s.q + chunk / 8 * kPanel + swizzled(row, chunk % 8)) =
        uint4{words[0], words[1], words[2], words[3]};
  }
  fence_async_shared();
  named_barrier(1 + group, kGroup);
}

// Values behind the last key may be anything: zero times them must stay zero. All consumers.
__device__ void clear_values(char* v, int valid) {
  for (int i = static_cast<int>(threadIdx.x); i < (kKeys - valid) * 16; i += 2 * kGroup)
    *reinterpret_cast<uint4*>(v + i % 2 * kPanel + (valid + i / 16) * 128 + i % 16 / 2 * 16) =
        uint4{};
  fence_async_shared();
  named_barrier(3, 2 * kGroup);
}

struct Attention {
  float out[64];
  float largest[2] = {-INFINITY, -INFINITY};  // of rows g and g + 8, scaled, in base 2
  float base[2];                              // the same, 0 where there is none
  float total[2] = {};                        // this thread's columns

  // Raises the maxima by those of a tile's scores; `keep`: what is left of the sums so far. `seen`:
  // keys of the tile that row g may see, where not all may be.
  template <bool Masked>
  __device__ void raise(float (&scores)[64], float (&keep)[2], float scale, int seen) {
    const int t = static_cast<int>(threadIdx.x % 4);
    if constexpr (Masked) {
#pragma unroll
      for (int i = 0; i < 64; ++i) {
        if (i / 4 * 8 + 2 * t + i % 2 >= seen + i % 4 / 2 * 8)
          scores[i] = -INFINITY;
      }
    }
    float most[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float parts[4];
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        const float pair = fmaxf(scores[4 * i + 2 * r], scores[4 * i + 2 * r + 1]);
        parts[i % 4] = i < 4 ? pair : fmaxf(parts[i % 4], pair);
      }
      most[r] = fmaxf(fmaxf(parts[0], parts[1]), fmaxf(parts[2], parts[3]));
    }
#pragma unroll
    for (int step = 1; step < 4; step *= 2) {
#pragma unroll
      for (float& of_row : most) of_row = fmaxf(of_row, __shfl_xor_sync(kWholeWarp, of_row, step));
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const float now = fmaxf(largest[r], most[r] * scale);
      base[r] = now == -INFINITY ? 0.0F : now;
      keep[r] = fast_exp2(largest[r] - base[r]);
      largest[r] = now;
      total[r] *= keep[r];
    }
  }

  // Scores `First` to `Last` become weights.
  template <int First, int Last>
  __device__ void weigh(float (&scores)[64], float scale) {
    float sums[4] = {};
#pragma unroll
    for (int i = First; i < Last; ++i) {
      scores[i] = fast_exp2(fmaf(scores[i], scale, -base[i % 4 / 2]));
      sums[i % 4] += scores[i];
    }
#pragma unroll
    for (int r = 0; r < 2; ++r) total[r] += sums[2 * r] + sums[2 * r + 1];
  }

  __device__ void rescale(const float (&keep)[2]) {
#pragma unroll
    for (int i = 0; i < 64; ++i) out[i] *= keep[i % 4 / 2];
  }

  template <typename Out>
  __device__ void store(const SoftmaxParams& p, const Job& job, int head, int line) {
    const int t = static_cast<int>(threadIdx.x % 4);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      total[r] += __shfl_xor_sync(kWholeWarp, total[r], 1);
      total[r] += __shfl_xor_sync(kWholeWarp, total[r], 2);
      const float inverse = 1.0F / total[r];
      const int row = line + 8 * r;
      if (row >= job.rows)
        continue;
      Out* to = static_cast<Out*>(p.out) + ((job.first + row) * p.heads + head) * kSize + 2 * t;
#pragma unroll
      for (int i = 0; i < 16; ++i) {
        struct alignas(2 * sizeof(Out)) Two {
          Out at[2];
        };
        *reinterpret_cast<Two*>(to + 8 * i) = {{from_f32<Out>(out[4 * i + 2 * r] * inverse),
                                                from_f32<Out>(out[4 * i + 2 * r + 1] * inverse)}};
      }
    }
  }
};

// ptxas moves a wait for products to before all arithmetic that no memory depends on. It does not
// move it across this store of something that needs what has to be done first.
__device__ void store_before_wait(float (&held)[2 * kGroup], float value) {
  *static_cast<volatile float*>(&held[threadIdx.x]) = value;
}

template <typename Kv>
__device__ void queue_scores(float (&scores)[64], const Shared<Kv>& s, int group, int stage) {
  const uint64_t q = wgmma_operand(s.q + 64 * group * 128, 1024, 0);
  const uint64_t k = wgmma_operand(s.k[stage], 1024, 0);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 8; ++step) {
    const uint32_t offset = step / 4 * kPanel + step % 4 * 32;
    wgmma<0>(scores, wgmma_advance(q, offset), wgmma_advance(k, offset), step > 0);
  }
  wgmma_commit();
}

template <typename Kv>
__device__ void queue_values(float (&out)[64], const uint32_t (&words)[8][4], const Shared<Kv>& s,
                             int stage, bool add) {
  const uint64_t v = wgmma_operand(s.v[stage], 1024, kPanel);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 8; ++step)
    wgmma<1>(out, words[step], wgmma_advance(v, 2048 * step), add || step > 0);
  wgmma_commit();
}

template <typename Q, typename Out, typename Kv>
__device__ void consume(Shared<Kv>& s, const SoftmaxParams& p, const Job& job, int head,
                        int group) {
  const int line = 64 * group + static_cast<int>(threadIdx.x % kGroup / 32 * 16) +
                   static_cast<int>(threadIdx.x % 32 / 4);
  const float scale = p.scale * kLog2E;
  load_query<Q>(s, p, job, head, group);
  Attention attention;
  float scores[64];
  uint32_t words[8][4];
  float keep[2];
  RingPlace at;   // of the scores
  RingPlace old;  // of the values, one tile behind
  const auto raise = [&](int tile, auto masked) {
    const int64_t seen =
        min(job.position + line + 1, job.keys) - static_cast<int64_t>(tile) * kKeys;
    attention.raise<masked()>(
        scores, keep, scale, static_cast<int>(max(min(seen, int64_t{2 * kKeys}), int64_t{-kKeys})));
  };
  const auto pack = [&] {
#pragma unroll
    for (int i = 0; i < 32; ++i) words[i / 4][i % 4] = pack_bf16(scores[2 * i], scores[2 * i + 1]);
  };
  barrier_wait(&s.k_full[0], 0);
  queue_scores(scores, s, group, 0);
  wgmma_wait<0>();
  wgmma_touch(scores);
  barrier_arrive_warp(&s.k_empty[0]);
  at.advance(kStages);
  // Tiles of keys that all rows see.
  const int whole =
      static_cast<int>(min((job.position + 64 * group + 1) / kKeys, int64_t{job.tiles - 1}));
  if (whole > 0) {
    raise(0, std::false_type{});
  } else {
    raise(0, std::true_type{});
  }
  attention.weigh<0, 64>(scores, scale);
  pack();
  if (group == 1)
    named_arrive(kTurn, 2 * kGroup);
  const auto turn = [&](int tile, auto masked) {
    barrier_wait(&s.k_full[at.stage], at.parity);
    barrier_wait(&s.v_full[old.stage], old.parity);
    named_barrier(kTurn + group, 2 * kGroup);
    queue_scores(scores, s, group, at.stage);
    queue_values(attention.out, words, s, old.stage, tile > 1);
    named_arrive(kTurn + 1 - group, 2 * kGroup);
    wgmma_wait<1>();
    wgmma_touch(scores);
    barrier_arrive_warp(&s.k_empty[at.stage]);
    at.advance(kStages);
    // Beside the product with the last tile's values, whose weights must stay: the maxima and some
    // of the weights. More would fall together with those of the other warpgroup.
    raise(tile, masked);
    attention.weigh<0, kBeside>(scores, scale);
    store_before_wait(s.held, attention.total[0] + attention.total[1]);
    wgmma_wait<0>();
    wgmma_touch(attention.out);
    barrier_arrive_warp(&s.v_empty[old.stage]);
    old.advance(kStages);
    attention.weigh<kBeside, 64>(scores, scale);
    pack();
    attention.rescale(keep);
  };
  for (int tile = 1; tile < whole; ++tile) turn(tile, std::false_type{});
  for (int tile = max(whole, 1); tile < job.tiles; ++tile) turn(tile, std::true_type{});
  barrier_wait(&s.v_full[old.stage], old.parity);
  const int64_t valid = job.keys - static_cast<int64_t>(job.tiles - 1) * kKeys;
  if (valid < kKeys)
    clear_values(s.v[old.stage], static_cast<int>(valid));
  queue_values(attention.out, words, s, old.stage, job.tiles > 1);
  wgmma_wait<0>();
  wgmma_touch(attention.out);
  attention.store<Out>(p, job, head, line);
}

template <typename Q, typename Out, typename Kv>
__global__ void __launch_bounds__(kThreads, 1)
    softmax_prefill_kernel(const SoftmaxParams p, const __grid_constant__ CUtensorMap map) {
  extern __shared__ __align__(1024) char memory[];
  Shared<Kv>& s = *reinterpret_cast<Shared<Kv>*>(memory);
  constexpr bool kWidens = is_code<Kv>();
  const int head = static_cast<int>(blockIdx.z * gridDim.x + blockIdx.x);
  const Job job = find_job(p, blockIdx.y);
  if (job.sequence < 0)
    return;
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(&s.k_full[i], kWidens ? kGroup : 1);
      barrier_init(&s.k_empty[i], 8);
      barrier_init(&s.v_full[i], kWidens ? kGroup : 1);
      barrier_init(&s.v_empty[i], 8);
    }
    if constexpr (kWidens) {
      for (int i = 0; i < kCodeTiles; ++i) {
        barrier_init(&s.codes.full[i], 1);
        barrier_init(&s.codes.empty[i], kGroup);
      }
    }
    barrier_init_fence();
  }
  __syncthreads();
  constexpr int kTaken = kWidens ? 216 : 240;
  constexpr int kKept = kWidens ? 72 : 24;
  static_assert(registers_suffice(kTaken, kKept));
  const int role = uniform_warpgroup();
  if (role < 2) {
    take_registers<kTaken>();
    consume<Q, Out>(s, p, job, head, role);
  } else {
    give_registers<kKept>();
    produce(s, p, &map, job, head / (p.heads / p.kv.heads));
  }
}

template <typename Kv>
void launch(const SoftmaxParams& params, const CUtensorMap& pages, cudaStream_t stream) {
  const int64_t jobs = (params.rows.total + kRows - 1) / kRows + params.rows.sequences;
  const dim3 grid(static_cast<unsigned>(params.heads / params.kv.heads),
                  static_cast<unsigned>(jobs), static_cast<unsigned>(params.kv.heads));
  visit_float(params.q.dtype, [&](auto q) {
    visit_float(params.out_type, [&](auto out) {
      auto* kernel = softmax_prefill_kernel<decltype(q), decltype(out), Kv>;
      MM_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                   static_cast<int>(sizeof(Shared<Kv>))));
      kernel<<<grid, kThreads, sizeof(Shared<Kv>), stream>>>(params, pages);
    });
  });
  MM_CUDA(cudaGetLastError());
}

}  // namespace

void launch_softmax_prefill(const SoftmaxParams& params, const CUtensorMap& pages,
                            cudaStream_t stream) {
  if (params.kv.dtype == DType::kI8) {
    launch<int8_t>(params, pages, stream);
  } else if (params.kv.dtype == DType::kF8E4M3) {
    launch<__nv_fp8_e4m3>(params, pages, stream);
  } else {
    launch<bf16>(params, pages, stream);
  }
}

}  // namespace mm::cuda
