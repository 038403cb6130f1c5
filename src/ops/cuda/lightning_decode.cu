// Work split: a block of eight warps per (64 channels of v, head, sequence): 32 KiB of state and
// the tail's k and v, all of whose loads are issued before anything is used; the two blocks of a
// head share the k rows in L2.
//   1. each warp: state rows of 8 channels into registers (8 × 16 bytes a thread)
//   2. scores q · k_j of the tail, 8 lanes a row, decayed, into shared memory
//   3. values: 8 lanes a row of 64 channels, 4 rows a warp and pass
//   4. out = λ^i S q + Σ_j λ^(i-j) s_j v_j; append; fold when the block is full
// Shared memory: scores and partial outputs, 2.3 KiB. Expected limit: memory, 64 KiB of state and
// half a tail on average (16 KiB) per head and sequence; latency for a single sequence.
#include "ops/cuda/lightning_decode.h"
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/lightning_rows.cuh"
#include "ops/cuda/prim/reduce.cuh"

namespace mm::cuda {
namespace {

constexpr int kSize = 128;
constexpr int kSlices = 2;
constexpr int kSlice = kSize / kSlices;  // channels of v of a block
constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kRows = kSlice / kWarps;  // state rows of a warp
constexpr int kPass = kThreads / 8;     // rows of the tail that all threads take at once
constexpr int kPasses = kBlock / kPass;

struct Shared {
  float scores[kBlock];
  float partial[kWarps][kSlice];
};

// `Count` neighbouring elements, loaded and not yet converted.
template <int Count, typename T>
struct Raw {
  static constexpr int kBytes = Count * static_cast<int>(sizeof(T));
  static constexpr int kEach = kBytes < 16 ? kBytes : 16;
  struct alignas(kEach) Piece {
    T at[kEach / sizeof(T)];
  };
  Piece pieces[kBytes / kEach];

  __device__ void load(const T* from) {
#pragma unroll
    for (int i = 0; i < kBytes / kEach; ++i) pieces[i] = reinterpret_cast<const Piece*>(from)[i];
  }
  // Rounded from another type, as it would be stored.
  template <typename In>
  __device__ void convert(const In* from) {
    if constexpr (sizeof(In) == sizeof(T)) {
      load(from);
    } else {
      constexpr int kPer = kEach / static_cast<int>(sizeof(T));
      Raw<Count, In> raw;
      raw.load(from);
#pragma unroll
      for (int i = 0; i < Count; ++i) pieces[i / kPer].at[i % kPer] = from_f32<T>(raw[i]);
    }
  }
  __device__ float operator[](int i) const {
    constexpr int kPer = kEach / static_cast<int>(sizeof(T));
    return to_f32(pieces[i / kPer].at[i % kPer]);
  }
};

template <int Count, typename T>
__device__ void load_floats(float (&to)[Count], const T* from) {
  Raw<Count, T> raw;
  raw.load(from);
#pragma unroll
  for (int i = 0; i < Count; ++i) to[i] = raw[i];
}

template <typename In, typename Tail>
struct Row {
  const In* q;
  const In* k;
  const In* v;
  const Tail* tail_k;  // [64, 128]
  const Tail* tail_v;
  int before;  // rows of the tail
  float slope;
};

// The tail, and the new row behind it, as a thread needs them: an eighth of k rows j = pass · 32 +
// thread / 8 and of the slice's channels of v rows.
template <typename Tail>
struct TailPart {
  Raw<16, Tail> k[kPasses];
  Raw<8, Tail> v[kPasses];

  template <typename In>
  __device__ void load(const Row<In, Tail>& row, int slice) {
    const int part = static_cast<int>(threadIdx.x % 8);
#pragma unroll
    for (int pass = 0; pass < kPasses; ++pass) {
      const int j = pass * kPass + static_cast<int>(threadIdx.x / 8);
      if (j < row.before) {
        k[pass].load(row.tail_k + j * kSize + 16 * part);
        v[pass].load(row.tail_v + j * kSize + slice * kSlice + 8 * part);
      } else if (j == row.before) {
        k[pass].convert(row.k + 16 * part);
        v[pass].convert(row.v + slice * kSlice + 8 * part);
      }
    }
  }
};

// Scores of the tail's rows and, last, of the new one.
template <typename In, typename Tail>
__device__ void make_scores(Shared& s, const Row<In, Tail>& row, const TailPart<Tail>& tail,
                            const Raw<16, In>& q) {
  const int part = static_cast<int>(threadIdx.x % 8);
#pragma unroll
  for (int pass = 0; pass < kPasses; ++pass) {
    const int j = pass * kPass + static_cast<int>(threadIdx.x / 8);
    float score = 0;
    if (j <= row.before) {
#pragma unroll
      for (int i = 0; i < 16; ++i) score = fmaf(q[i], tail.k[pass][i], score);
    }
    for (int step = 4; step > 0; step /= 2) score += __shfl_xor_sync(kWholeWarp, score, step);
    if (part == 0 && j <= row.before)
      s.scores[j] = score * expf(-row.slope * static_cast<float>(row.before - j));
  }
}

// Σ_j score_j v_j of the block's channels, the warp's share of the rows.
template <typename In, typename Tail>
__device__ void add_values(Shared& s, const Row<In, Tail>& row, const TailPart<Tail>& tail) {
  const int part = static_cast<int>(threadIdx.x % 8);
  float sum[8] = {};
#pragma unroll
  for (int pass = 0; pass < kPasses; ++pass) {
    const int j = pass * kPass + static_cast<int>(threadIdx.x / 8);
    if (j <= row.before) {
#pragma unroll
      for (int i = 0; i < 8; ++i) sum[i] = fmaf(s.scores[j], tail.v[pass][i], sum[i]);
    }
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    for (int step = 8; step < 32; step *= 2) sum[i] += __shfl_xor_sync(kWholeWarp, sum[i], step);
    if (threadIdx.x % 32 < 8)
      s.partial[threadIdx.x / 32][part * 8 + i] = sum[i];
  }
}

// S ← λ^64 S + Σ_j λ^(63-j) v_j k_jᵀ over the whole block.
template <typename In, typename Tail>
__device__ void fold(float4 (&state)[kRows], const Row<In, Tail>& row, int first_v) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const float whole = expf(-row.slope * kBlock);
#pragma unroll
  for (int r = 0; r < kRows; ++r)
    state[r] = {state[r].x * whole, state[r].y * whole, state[r].z * whole, state[r].w * whole};
  for (int j = 0; j < kBlock; ++j) {
    const float decay = expf(-row.slope * static_cast<float>(kBlock - 1 - j));
    Raw<4, Tail> k;
    Raw<kRows, Tail> v;
    if (j < row.before) {
      k.load(row.tail_k + j * kSize + 4 * lane);
      v.load(row.tail_v + j * kSize + first_v);
    } else {
      k.convert(row.k + 4 * lane);
      v.convert(row.v + first_v);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float scaled = v[r] * decay;
      state[r] = {fmaf(scaled, k[0], state[r].x), fmaf(scaled, k[1], state[r].y),
                  fmaf(scaled, k[2], state[r].z), fmaf(scaled, k[3], state[r].w)};
    }
  }
}

template <typename In>
__device__ const In* at_row(const HeadRows& rows, int64_t row, int head) {
  return static_cast<const In*>(rows.data) + row * rows.row_stride +
         static_cast<int64_t>(head) * rows.head_stride;
}

// One row of one slice. `place` is slot · H + head.
template <typename In, typename Tail, typename Out>
__device__ void decode_row(Shared& s, const LightningParams& p, int64_t step_row, int64_t position,
                           int64_t place, int slice) {
  const int head = static_cast<int>(blockIdx.y);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int first_v = slice * kSlice + warp * kRows;
  float4* states = reinterpret_cast<float4*>(p.states + (place * kSize + first_v) * kSize) + lane;
  float4 state[kRows];
#pragma unroll
  for (int r = 0; r < kRows; ++r) state[r] = states[r * (kSize / 4)];
  Tail* tail_k = static_cast<Tail*>(p.tail_k) + place * kBlock * kSize;
  Tail* tail_v = static_cast<Tail*>(p.tail_v) + place * kBlock * kSize;
  const Row<In, Tail> row{at_row<In>(p.q, step_row, head),
                          at_row<In>(p.k, step_row, head),
                          at_row<In>(p.v, step_row, head),
                          tail_k,
                          tail_v,
                          static_cast<int>(position % kBlock),
                          p.slopes[head]};
  TailPart<Tail> tail;
  tail.load(row, slice);
  Raw<16, In> query;
  query.load(row.q + 16 * (threadIdx.x % 8));
  make_scores(s, row, tail, query);
  float q[4];
  load_floats(q, row.q + 4 * lane);
  __syncthreads();
  add_values(s, row, tail);
  __syncthreads();
  const float decay = expf(-row.slope * static_cast<float>(row.before + 1));
  float mine = 0;  // lane r keeps row r
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
    float sum = state[r].x * q[0];
    sum = fmaf(state[r].y, q[1], sum);
    sum = fmaf(state[r].z, q[2], sum);
    sum = warp_sum(fmaf(state[r].w, q[3], sum));
    mine = lane == r ? sum : mine;
  }
  if (lane < kRows) {
    const int v = warp * kRows + lane;
    float intra = 0;
    for (int w = 0; w < kWarps; ++w) intra += s.partial[w][v];
    Out* out = static_cast<Out*>(p.out) + (step_row * p.heads + head) * kSize + slice * kSlice;
    out[v] = from_f32<Out>(fmaf(decay, mine, intra));
    tail_v[row.before * kSize + slice * kSlice + v] =
        from_f32<Tail>(to_f32(row.v[slice * kSlice + v]));
  }
  if (slice == 0 && threadIdx.x < kSize)
    tail_k[row.before * kSize + static_cast<int>(threadIdx.x)] =
        from_f32<Tail>(to_f32(row.k[threadIdx.x]));
  if (row.before == kBlock - 1) {
    fold(state, row, first_v);
#pragma unroll
    for (int r = 0; r < kRows; ++r) states[r * (kSize / 4)] = state[r];
  }
}

template <typename In, typename Tail, typename Out>
__global__ void __launch_bounds__(kThreads, 2) lightning_decode_kernel(LightningParams p) {
  __shared__ Shared s;
  let_next_start();
  wait_for_previous();
  const LightningSpan span = lightning_span(p, static_cast<int>(blockIdx.z));
  const int64_t place = span.slot * p.heads + blockIdx.y;
  const int mine = static_cast<int>(blockIdx.x);
  if (span.count == 1)
    return decode_row<In, Tail, Out>(s, p, span.first, span.start, place, mine);
  // Several rows: blocks must not run ahead of each other's tail rows, so one does all.
  for (int64_t i = 0; i < span.count && mine == 0; ++i) {
    for (int slice = 0; slice < kSlices; ++slice) {
      decode_row<In, Tail, Out>(s, p, span.first + i, span.start + i, place, kSlices - 1 - slice);
      __syncthreads();
    }
  }
}

}  // namespace

void launch_lightning_decode(const LightningParams& params, Queue queue) {
  const dim3 grid(kSlices, static_cast<unsigned>(params.heads),
                  static_cast<unsigned>(params.rows.sequences));
  visit_float(params.q.dtype, [&](auto in) {
    visit_float(params.tail_type, [&](auto tail) {
      visit_float(params.out_type, [&](auto out) {
        launch_kernel(lightning_decode_kernel<decltype(in), decltype(tail), decltype(out)>,
                      {grid, kThreads}, queue, params);
      });
    });
  });
}

}  // namespace mm::cuda
