// Work split: one block of threads per (part of the keys, key/value head, row). Four warps take 16
// keys each of every page; a fifth feeds the copy engine, three pages ahead (five of codes).
// All query heads of a key/value head are the 8 columns of mma.sync, so nothing is padded at 8:
//   S' [16 keys × 8 heads] = K Q',  O' [128 × 8] += V' P'
// Pages of codes become bf16 on their way into the registers; their scales multiply scores and
// weights, one product a key.
// Each warp keeps its own running maximum, total and output; the warps meet once at the end and
// write one part; a second kernel joins the parts in order.
// Shared memory: 3 stages of k 16 and v 16 KiB (codes: 5 of 8 and 8, and scales), two blocks a
// multiprocessor: 192 KiB in flight, 160 of codes.
// Expected limit: memory, keys and values read once.
#include "ops/cuda/check.h"
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/kv_operands.cuh"
#include "ops/cuda/prim/matrix.cuh"
#include "ops/cuda/prim/mma.cuh"
#include "ops/cuda/prim/ragged.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/prim/special_unit.cuh"
#include "ops/cuda/prim/tma.cuh"
#include "ops/cuda/softmax_decode.h"

namespace mm::cuda {
namespace {

constexpr int kSize = 128;
constexpr int kHeads = 8;
constexpr int kWarps = 4;
constexpr int kThreads = 32 * (kWarps + 1);
constexpr int kPartFloats = kHeads * (kSize + 2);  // output [head][128], maximum [head], total
constexpr float kLog2E = 1.44269504F;

template <typename Kv>
struct Shared {
  static constexpr int kTile = KvOperands<Kv>::kTileBytes;
  static constexpr int kStages = KvOperands<Kv>::kScaled ? 5 : 3;
  static constexpr int kScales = KvOperands<Kv>::kScaled ? 2 * kBlock : 0;

  struct Stage {
    char k[kTile], v[kTile];
  };
  union {
    Stage stages[kStages];
    float part[kWarps][kPartFloats];  // when all pages are done
  };
  float scales[kStages][2 * kBlock];  // of keys, of values; used for codes alone
  uint64_t full[kStages], empty[kStages];
};

// The pages [begin, end) of a row's keys that a block takes.
struct Range {
  int64_t begin, end;
  int64_t keys;  // of the row
  const int32_t* table;
};

__device__ Range find_range(const SoftmaxParams& p, int64_t row) {
  const int n = sequence_of(p.rows.offsets, p.rows.sequences, row);
  const int64_t position = p.rows.starts[n] + row - p.rows.offsets[n];
  const int64_t keys = min(position + 1, p.kv.blocks * kBlock);
  const int64_t pages = (keys + kBlock - 1) / kBlock;
  const int64_t each = (pages + gridDim.x - 1) / gridDim.x;
  const int64_t begin = min(pages, blockIdx.x * each);
  return {begin, min(pages, begin + each), keys, p.kv.table + n * p.kv.table_stride};
}

template <typename Kv>
__device__ void produce(Shared<Kv>& s, const SoftmaxParams& p, const CUtensorMap* map,
                        const Range& range) {
  constexpr uint32_t kScaleBytes = Shared<Kv>::kScales * sizeof(float);
  RingPlace at;
  for (int64_t block = range.begin; block < range.end; ++block) {
    // A page that does not exist is read as the first one: wrong, but never out of bounds.
    int64_t page = range.table[block];
    page = page < 0 || page >= p.kv.pages ? 0 : page;
    const int64_t line = ((page * p.kv.heads + blockIdx.y) * 2) * kBlock;
    auto& stage = s.stages[at.stage];
    uint64_t* full = &s.full[at.stage];
    barrier_wait(&s.empty[at.stage], at.parity ^ 1U);
    barrier_expect(full, sizeof(stage) + kScaleBytes);
    tma_load_3d(stage.k, map, full, 0, static_cast<int>(line), 0);
    tma_load_3d(stage.v, map, full, 0, static_cast<int>(line) + kBlock, 0);
    if constexpr (kScaleBytes > 0)
      bulk_load(s.scales[at.stage], p.kv.scales + line, kScaleBytes, full);
    at.advance(Shared<Kv>::kStages);
  }
}

// Says that a warp has used a stage. Scales come by copies that compute-sanitizer follows thread by
// thread: there each thread speaks for itself.
template <typename Kv>
__device__ void free_stage(uint64_t* empty) {
  if constexpr (KvOperands<Kv>::kScaled) {
    barrier_arrive(empty);
  } else {
    barrier_arrive_warp(empty);
  }
}

// `weights` rows g and g + 8 of a warp's keys (words 0, 1 and 2, 3), each times its key's number.
__device__ void multiply_rows(float (&values)[4], const float* by, int warp) {
  const int key = 16 * warp + static_cast<int>(threadIdx.x % 32) / 4;
#pragma unroll
  for (int i = 0; i < 4; ++i) values[i] *= by[key + i / 2 * 8];
}

template <typename Kv>
struct Attention {
  using Operands = KvOperands<Kv>;
  uint32_t q[8][2];            // heads as columns, a step of 16 channels a line
  float out[8][4];             // a step's channels as rows g, g + 8; heads 2 t, 2 t + 1
  float largest[2], total[2];  // of heads 2 t, 2 t + 1; in base 2

  template <typename Q>
  __device__ void load_query(const SoftmaxParams& p, int64_t row) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int per = p.heads / p.kv.heads;
    const int head = lane / 4;
    const Q* from = static_cast<const Q*>(p.q.data) + row * p.q.row_stride +
                    static_cast<int64_t>(blockIdx.y * per + min(head, per - 1)) * p.q.head_stride;
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const bool used = head < per;
      const int2 at = Operands::query_channels(i, lane);
      q[i / 2][i % 2] =
          pack_bf16(used ? to_f32(from[at.x]) : 0.0F, used ? to_f32(from[at.y]) : 0.0F);
    }
  }

  __device__ void reset() {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
#pragma unroll
      for (int j = 0; j < 4; ++j) out[i][j] = 0;
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      largest[i] = -INFINITY;
      total[i] = 0;
    }
  }

  // Scores of the warp's 16 keys, rows g and g + 8; `valid` of them exist. `scales`: of the page.
  __device__ void make_scores(float (&scores)[4], const char* k, const float* scales, int warp,
                              int valid) const {
    Operands::each_key_step(k, warp, [&](int step, const uint32_t(&a)[4]) {
      mma<bf16>(scores, a[0], a[1], a[2], a[3], q[step][0], q[step][1]);
    });
    if constexpr (Operands::kScaled)
      multiply_rows(scores, scales, warp);
    mask(scores, valid, -INFINITY);
  }

  // Puts `value` where there is no key.
  __device__ static void mask(float (&rows)[4], int valid, float value) {
    const int key = static_cast<int>(threadIdx.x % 32) / 4;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (key + i / 2 * 8 >= valid)
        rows[i] = value;
    }
  }

  // From scores to weights; rescales what was summed so far.
  __device__ void weigh(float (&scores)[4], float scale) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float most = fmaxf(scores[i], scores[i + 2]);
      for (int step = 4; step < 32; step *= 2)
        most = fmaxf(most, __shfl_xor_sync(kWholeWarp, most, step));
      const float now = fmaxf(largest[i], most * scale);
      const float base = now == -INFINITY ? 0.0F : now;
      const float keep = fast_exp2(largest[i] - base);
      largest[i] = now;
      scores[i] = fast_exp2(fmaf(scores[i], scale, -base));
      scores[i + 2] = fast_exp2(fmaf(scores[i + 2], scale, -base));
      total[i] = fmaf(total[i], keep, scores[i] + scores[i + 2]);
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        out[j][i] *= keep;
        out[j][i + 2] *= keep;
      }
    }
  }

  // Rows of the page behind the last key may be anything: zero times them must stay zero, which
  // codes are, and floats must be made.
  __device__ void add_values(float (&weights)[4], char* v, const float* scales, int warp,
                             int valid) {
    if constexpr (Operands::kScaled) {
      multiply_rows(weights, scales + kBlock, warp);
      mask(weights, valid, 0);
    } else if (valid < 16) {
      clear_values(v, warp, valid);
    }
    const uint32_t low = transpose_matrix(pack_bf16(weights[0], weights[1]));
    const uint32_t high = transpose_matrix(pack_bf16(weights[2], weights[3]));
    Operands::each_value_step(v, warp, [&](int step, const uint32_t(&a)[4]) {
      mma<bf16>(out[step], a[0], a[1], a[2], a[3], low, high);
    });
  }

  // Zeros instead of the rows of bf16 from `valid` on, of the warp's 16.
  __device__ static void clear_values(char* v, int warp, int valid) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    for (int row = max(valid, 0); row < 16; ++row) {
      const int at = (16 * warp + row) * 128 + lane % 8 * 16;
      if (lane < 16)
        *reinterpret_cast<uint4*>(v + lane / 8 * kBlock * 128 + at) = uint4{};
    }
    __syncwarp();
  }

  __device__ void store(float* part) {
    const int lane = static_cast<int>(threadIdx.x % 32);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      for (int step = 4; step < 32; step *= 2)
        total[i] += __shfl_xor_sync(kWholeWarp, total[i], step);
      const int head = lane % 4 * 2 + i;
#pragma unroll
      for (int j = 0; j < 8; ++j) {
        part[head * kSize + Operands::out_channel(j, 0, lane)] = out[j][i];
        part[head * kSize + Operands::out_channel(j, 1, lane)] = out[j][i + 2];
      }
      if (lane < 4) {
        part[kHeads * kSize + head] = largest[i];
        part[kHeads * kSize + kHeads + head] = total[i];
      }
    }
  }
};

// Weight of a part whose maximum is `largest` in a sum whose maximum is `most`.
__device__ float part_weight(float largest, float most) {
  return largest == -INFINITY ? 0.0F : fast_exp2(largest - most);
}

// The part of the block from those of its warps, by the same warps: 8 values a thread.
__device__ void join_warps(const float (&from)[kWarps][kPartFloats], float* part) {
  for (int i = static_cast<int>(threadIdx.x); i < kHeads * kSize; i += 32 * kWarps) {
    const int at = kHeads * kSize + i / kSize;
    float most = -INFINITY;
    for (int w = 0; w < kWarps; ++w) most = fmaxf(most, from[w][at]);
    float sum = 0;
    float total = 0;
    for (int w = 0; w < kWarps; ++w) {
      const float weight = part_weight(from[w][at], most);
      sum = fmaf(weight, from[w][i], sum);
      total = fmaf(weight, from[w][at + kHeads], total);
    }
    part[i] = sum;
    if (i % kSize == 0) {
      part[at] = most;
      part[at + kHeads] = total;
    }
  }
}

template <typename Q, typename Kv>
__global__ void __launch_bounds__(kThreads, 2)
    softmax_decode_kernel(const SoftmaxParams p, const __grid_constant__ CUtensorMap map,
                          float* parts) {
  extern __shared__ __align__(1024) char memory[];
  constexpr int kStages = Shared<Kv>::kStages;
  Shared<Kv>& s = *reinterpret_cast<Shared<Kv>*>(memory);
  const int64_t row = blockIdx.z;
  if (threadIdx.x == 0) {
    tma_prefetch_map(&map);
    for (int i = 0; i < kStages; ++i) {
      barrier_init(&s.full[i], 1);
      barrier_init(&s.empty[i], KvOperands<Kv>::kScaled ? 32 * kWarps : kWarps);
    }
    barrier_init_fence();
  }
  __syncthreads();
  wait_for_previous();
  const Range range = find_range(p, row);
  const int warp = static_cast<int>(threadIdx.x / 32);
  if (warp == kWarps) {
    if (threadIdx.x % 32 == 0)
      produce(s, p, &map, range);
  } else {
    Attention<Kv> attention;
    attention.template load_query<Q>(p, row);
    attention.reset();
    RingPlace at;
    for (int64_t block = range.begin; block < range.end; ++block) {
      auto& stage = s.stages[at.stage];
      const float* scales = s.scales[at.stage];
      const auto valid =
          static_cast<int>(min(range.keys - block * kBlock - 16 * warp, static_cast<int64_t>(16)));
      barrier_wait(&s.full[at.stage], at.parity);
      float scores[4] = {};
      attention.make_scores(scores, stage.k, scales, warp, valid);
      attention.weigh(scores, p.scale * kLog2E);
      attention.add_values(scores, stage.v, scales, warp, valid);
      free_stage<Kv>(&s.empty[at.stage]);
      at.advance(kStages);
    }
    named_barrier(1, 32 * kWarps);
    attention.store(s.part[warp]);
    named_barrier(1, 32 * kWarps);
    let_next_start();  // not before: what the next ones ask for would push out keys and values
    join_warps(s.part,
               parts + ((row * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x) * kPartFloats);
  }
}

// One block a (query head, row), a thread a channel.
template <typename Out>
__global__ void __launch_bounds__(kSize)
    softmax_join_kernel(const SoftmaxParams p, const float* parts, int splits) {
  let_next_start();
  wait_for_previous();
  const int per = p.heads / p.kv.heads;
  const int head = static_cast<int>(blockIdx.x);
  const int64_t row = blockIdx.y;
  const int in_part = head % per;
  const float* part = parts + (row * p.kv.heads + head / per) * splits * kPartFloats;
  float most = -INFINITY;
  for (int i = 0; i < splits; ++i)
    most = fmaxf(most, part[i * kPartFloats + kHeads * kSize + in_part]);
  float sum = 0;
  float total = 0;
  for (int i = 0; i < splits; ++i) {
    const float* one = part + i * kPartFloats;
    const float weight = part_weight(one[kHeads * kSize + in_part], most);
    sum = fmaf(weight, one[in_part * kSize + static_cast<int>(threadIdx.x)], sum);
    total = fmaf(weight, one[kHeads * kSize + kHeads + in_part], total);
  }
  static_cast<Out*>(p.out)[(row * p.heads + head) * kSize + threadIdx.x] =
      from_f32<Out>(sum / total);
}

template <typename Q, typename Kv>
void launch_parts(const SoftmaxParams& params, dim3 grid, const CUtensorMap& pages, float* parts,
                  const Queue& queue) {
  auto* kernel = softmax_decode_kernel<Q, Kv>;
  MM_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(sizeof(Shared<Kv>))));
  // In full order: two of its blocks want nearly all shared memory of a multiprocessor.
  launch_kernel(kernel, {grid, kThreads, sizeof(Shared<Kv>)}, queue.in_order(), params, pages,
                parts);
}

}  // namespace

void launch_softmax_decode(const SoftmaxParams& params, const SoftmaxDecodeConfig& config,
                           const CUtensorMap& pages, void* workspace, Queue queue) {
  auto* parts = static_cast<float*>(workspace);
  const auto rows = static_cast<unsigned>(params.rows.total);
  const dim3 grid(static_cast<unsigned>(config.splits), static_cast<unsigned>(params.kv.heads),
                  rows);
  visit_float(params.q.dtype, [&](auto q) {
    if (params.kv.dtype == DType::kBf16) {
      launch_parts<decltype(q), bf16>(params, grid, pages, parts, queue);
    } else if (params.kv.dtype == DType::kI8) {
      launch_parts<decltype(q), int8_t>(params, grid, pages, parts, queue);
    } else {
      launch_parts<decltype(q), __nv_fp8_e4m3>(params, grid, pages, parts, queue);
    }
  });
  visit_float(params.out_type, [&](auto out) {
    launch_kernel(softmax_join_kernel<decltype(out)>,
                  {dim3(static_cast<unsigned>(params.heads), rows), kSize}, queue, params, parts,
                  config.splits);
  });
}

}  // namespace mm::cuda
