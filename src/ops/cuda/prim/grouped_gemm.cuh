/// The kernel of products of rows grouped by expert, for operands of two types.
///
/// Work split: persistent blocks, one a multiprocessor; a tile is 256 outputs × up to kTileRows
/// rows of one expert. The outputs are the 64-row operand of wgmma and the rows of x its columns,
/// whose number may be any multiple of 8: an expert's rows are cut into tiles as equal as they
/// go, so 530 rows cost 184 + 176 + 176 and not 3 × 192, and blocks that share weights in L2 keep
/// pace. Tiles are counted
/// from the offsets on the device, rows fastest, and taken from a counter, because they differ in
/// width. Rows behind an expert's end are computed and not stored.
/// A gated product takes its 256 rows of weights from two matrices, eight rows of each in turn: a
/// thread's sums are then those of gate and up of the same outputs, 128 a tile, and what is stored
/// is silu(gate) · up.
///   warps 0-7   two warpgroups, 128 rows of weights each, 64 a product: up to 192 sums a thread
///   warps 8-11  one thread feeds the copy engine
/// Shared memory: four stages of w [256 × 128 bytes] 32 KiB and x [kTileRows × 128 bytes], up to
/// 224 KiB. Operands move from L2 once for 256 × 192 sums: with tiles of 128 × 256 their traffic
/// took the power that the tensor cores lacked.
/// Expected limit: the tensor cores from about 270 rows an expert, memory below.
#pragma once

#include "ops/cuda/check.h"
#include "ops/cuda/grouped_gemm_sm90.h"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/matrix.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/prim/special_unit.cuh"
#include "ops/cuda/prim/tma.cuh"
#include "ops/cuda/prim/wgmma_width.cuh"

namespace mm::cuda {

/// bf16: 64 elements in the 128 bytes of a row of a stage.
struct Bf16Operands {
  using Element = bf16;
  static constexpr DType kType = DType::kBf16;
  static constexpr int kDepth = 64;
  static constexpr int kTileRows = kBf16TileRows;
  static constexpr int kStages = 4;
};

/// e4m3: 128 elements. The tensor cores' sums of them keep about 14 bits, so each stage's are added
/// in f32 to others, which leaves registers for fewer rows.
struct Fp8Operands {
  using Element = __nv_fp8_e4m3;
  static constexpr DType kType = DType::kF8E4M3;
  static constexpr int kDepth = 128;
  static constexpr int kTileRows = kFp8TileRows;
  static constexpr int kStages = 4;
};

namespace {

constexpr int kTileWeights = kGemmTileOutputs;  // rows
constexpr int kHalves = 2;                      // of a warpgroup's rows of weights, 64 each
constexpr int kNotes = 2;
constexpr int kTogether = 16;  // with 192 rows of 6,144 bf16: 38 MB at most, weights besides
constexpr int kThreads = 384;

template <bool Gated>
constexpr int kTileOutputs = Gated ? kTileWeights / 2 : kTileWeights;

template <class Operands>
struct Stage {
  char w[kTileWeights * 128];         // [output][128 bytes], swizzled
  char x[Operands::kTileRows * 128];  // [row][128 bytes], swizzled
};

struct Tile {
  int expert;     // -1: none
  int64_t first;  // row
  int rows;       // to store
  int width;      // to compute: a width of wgmma, at least `rows`
  int output;     // first one
};

template <class Operands>
struct Shared {
  Stage<Operands> stages[Operands::kStages];
  Tile notes[kNotes];  // from the producer to the others
  uint64_t full[Operands::kStages], empty[Operands::kStages];
  uint64_t note_full[kNotes], note_empty[kNotes];
};

// A width of wgmma for `rows` rows: multiples of 32 to 96, of 8 beyond.
__device__ int width_for(int rows) {
  const int step = rows <= 96 ? 32 : 8;
  return (rows + step - 1) / step * step;
}

// Finds tiles whose numbers ascend: each search goes on where the last one ended.
template <bool Gated>
class TileWalk {
 public:
  __device__ explicit TileWalk(const GroupedGemmParams& params)
      : p_(params), across_((params.n + kTileOutputs<Gated> - 1) / kTileOutputs<Gated>) {}

  /// Within an expert tiles run over all outputs of kTogether rows of tiles before they go on to
  /// the next: what is read at a time stays in L2.
  __device__ Tile find(int64_t index) {
    for (; expert_ < p_.experts; ++expert_) {
      const int64_t begin = p_.offsets == nullptr ? 0 : p_.offsets[expert_];
      const int64_t end = p_.offsets == nullptr ? p_.rows : p_.offsets[expert_ + 1];
      const auto rows = static_cast<int>(end - begin);
      const int high = (rows + p_.tile_rows - 1) / p_.tile_rows;
      const auto local = static_cast<int>(index - before_);
      if (local < high * across_) {
        const int skip = local / (kTogether * across_) * kTogether;
        const int together = min(kTogether, high - skip);
        const int place = local - skip * across_;
        const Share share = share_of(rows, high, skip + place % together);
        return {expert_, begin + share.first, share.rows, width_for(share.rows),
                place / together * kTileOutputs<Gated>};
      }
      before_ += high * across_;
    }
    return {-1, 0, 0, 0, 0};
  }
  /// Tiles of all experts, once find() has come to their end.
  __device__ int64_t total() const { return before_; }

 private:
  struct Share {
    int first, rows;
  };
  /// Rows of tile `index` of `tiles`: eights as equal in number as they go, so that an expert
  /// computes at most seven rows that it does not have.
  static __device__ Share share_of(int rows, int tiles, int index) {
    const int eights = (rows + 7) / 8;
    const int each = eights / tiles;
    const int more = eights % tiles;  // tiles that have one more
    const int first = 8 * (each * index + min(index, more));
    return {first, min(rows - first, 8 * (each + (index < more ? 1 : 0)))};
  }

  const GroupedGemmParams& p_;
  int across_;
  int expert_ = 0;
  int64_t before_ = 0;  // tiles of the experts before
};

// The next tile of this block: whoever is free takes the next number. The block that takes the last
// one of all, which is none, leaves the counter as it found it.
template <bool Gated>
__device__ Tile take_tile(const GroupedGemmParams& p, TileWalk<Gated>& walk, int64_t index) {
  const Tile tile = walk.find(index);
  if (tile.expert >= 0)
    return tile;
  if (index - gridDim.x == walk.total() - 1)
    *p.counter = 0;
  return tile;
}

// The 128 bytes at `depth` of `rows` rows, a multiple of 8, from `first` on.
__device__ void load_rows(char* to, const RowMaps& x, uint64_t* full, int depth, int first,
                          int rows) {
  int done = 0;
#pragma unroll
  for (int i = 0; i < kRowBoxes; ++i) {
    for (; rows - done >= kRowBox >> i; done += kRowBox >> i)
      tma_load_2d(to + done * 128, &x.of[i], full, depth, first + done);
  }
}

template <class Operands, bool Gated>
__device__ void load_weights(char* to, const CUtensorMap* w, uint64_t* full, int depth,
                             int output) {
  if constexpr (Gated) {
    constexpr int kApart = 2 * kGatedRows;  // outputs of a warp
    for (int group = 0; group < 2; ++group)
      tma_load_5d(to + group * kTileWeights / 2 * 128, w, full, depth, 0, 0,
                  output / kApart + group * 4, 0);
  } else {
    tma_load_2d(to, w, full, depth, output);
  }
}

template <class Operands, bool Gated>
__device__ void produce(Shared<Operands>& s, const GroupedGemmParams& p, const RowMaps& x) {
  RingPlace at;
  RingPlace note;
  TileWalk<Gated> walk(p);
  int64_t index = blockIdx.x;
  for (;;) {
    const Tile tile = take_tile(p, walk, index);
    barrier_wait(&s.note_empty[note.stage], note.parity ^ 1U);
    s.notes[note.stage] = tile;
    barrier_arrive(&s.note_full[note.stage]);
    note.advance(kNotes);
    if (tile.expert < 0)
      return;
    const CUtensorMap* w = &p.weights[tile.expert].map;
    const auto bytes = static_cast<uint32_t>((kTileWeights + tile.width) * 128);
    for (int depth = 0; depth < p.k; depth += Operands::kDepth) {
      Stage<Operands>& stage = s.stages[at.stage];
      uint64_t* full = &s.full[at.stage];
      barrier_wait(&s.empty[at.stage], at.parity ^ 1U);
      barrier_expect(full, bytes);
      load_weights<Operands, Gated>(stage.w, w, full, depth, tile.output);
      load_rows(stage.x, x, full, depth, static_cast<int>(tile.first), tile.width);
      at.advance(Operands::kStages);
    }
    index = gridDim.x + atomicAdd(p.counter, 1);  // its wait hides behind the stages just queued
  }
}

// Scales of the two rows of weights that a thread has sums of: 0 and 8 rows behind its first.
struct Scales {
  float low, high;
};

template <bool Gated>
__device__ Scales scales_of(const GroupedGemmParams& p, const Tile& tile, int first_output) {
  const GemmWeights& w = p.weights[tile.expert];
  const int output = first_output + static_cast<int>(threadIdx.x % 32 / 4);
  if constexpr (Gated) {
    return output < p.n ? Scales{w.scales[output], w.second_scales[output]} : Scales{};
  } else {
    return {output < p.n ? w.scales[output] : 0.0F, output + 8 < p.n ? w.scales[output + 8] : 0.0F};
  }
}

// Sums of codes to what they stand for: by the scales of outputs and, of e4m3, of rows.
template <class Operands, int Sums>
__device__ void apply_scales(float (&sums)[Sums], const GroupedGemmParams& p, const Tile& tile,
                             const Scales& of_output) {
  int row = 2 * static_cast<int>(threadIdx.x % 4);
  const float* of_row = p.x_scales + tile.first + row;
#pragma unroll
  for (int j = 0; j < Sums / 4; ++j) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float scale = 1;
      if constexpr (Operands::kType == DType::kF8E4M3)
        scale = row + i < tile.rows ? of_row[i] : 0.0F;
      sums[4 * j + i] *= of_output.low * scale;
      sums[4 * j + 2 + i] *= of_output.high * scale;
    }
    row += 8;
    of_row += 8;
    asm volatile("" : "+r"(row));  // a few scales at a time: the sums leave few registers
  }
}

// x · sigmoid(x). The approximations of exponential and reciprocal are off by less than 2⁻²⁰.
__device__ float silu(float x) {
  constexpr float kLog2E = 1.44269504F;
  return x * fast_reciprocal(1.0F + fast_exp2(-kLog2E * x));
}

// Words of a row's 16 outputs, as lanes 4 g + t of a warp hold them of rows 2 t and 2 t + 1: `low`
// of outputs g, `high` of outputs 8 + g. Transposed within the warp, then paired, so that lane
// 4 g + t has outputs 4 t … 4 t + 3 of row g: 4 lanes write 32 bytes.
__device__ uint2 pair_outputs(uint32_t low, uint32_t high) {
  const int t = static_cast<int>(threadIdx.x % 4);
  low = transpose_matrix(low);  // row g: outputs 2 t, 2 t + 1
  high = transpose_matrix(high);
  const int from = static_cast<int>(threadIdx.x % 32) - t + 2 * t % 4;
  const uint32_t low0 = __shfl_sync(kWholeWarp, low, from);
  const uint32_t low1 = __shfl_sync(kWholeWarp, low, from + 1);
  const uint32_t high0 = __shfl_sync(kWholeWarp, high, from);
  const uint32_t high1 = __shfl_sync(kWholeWarp, high, from + 1);
  return t < 2 ? uint2{low0, low1} : uint2{high0, high1};
}

// Four outputs, from `first_output` + 4 t on, of row 8 j + g.
__device__ void store_four(uint2 outputs, const GroupedGemmParams& p, const Tile& tile,
                           int first_output, int j) {
  const int row = 8 * j + static_cast<int>(threadIdx.x % 32 / 4);
  const int output = first_output + 4 * static_cast<int>(threadIdx.x % 4);
  if (row < tile.rows && output < p.n)
    *reinterpret_cast<uint2*>(static_cast<bf16*>(p.out) + (tile.first + row) * p.n + output) =
        outputs;
}

// silu(gate) · up of 8 rows, two of them a thread. `Gate` is the place of the gate's sums.
template <int Gate>
__device__ uint32_t gate_word(const float* sums) {
  const float* gate = sums + 2 * Gate;
  const float* up = sums + 2 - 2 * Gate;
  return pack_bf16(silu(gate[0]) * up[0], silu(gate[1]) * up[1]);
}

// The warp's 16 outputs of each row: 8 of each half, from the sums of gate and up that a thread
// has.
template <int Gate, int Sums>
__device__ void store_gated(const float (&sums)[kHalves][Sums], const GroupedGemmParams& p,
                            const Tile& tile, int first_output) {
#pragma unroll
  for (int j = 0; j < Sums / 4; ++j)
    store_four(pair_outputs(gate_word<Gate>(&sums[0][4 * j]), gate_word<Gate>(&sums[1][4 * j])), p,
               tile, first_output, j);
}

// Outputs first_output + {g, g + 8} of rows 8 j + 2 t + {0, 1}, as a thread holds them, to memory.
template <int Sums>
__device__ void store_sums(bf16 /*out*/, const float (&sums)[Sums], const GroupedGemmParams& p,
                           const Tile& tile, int first_output) {
#pragma unroll
  for (int j = 0; j < Sums / 4; ++j)
    store_four(pair_outputs(pack_bf16(sums[4 * j], sums[4 * j + 1]),
                            pack_bf16(sums[4 * j + 2], sums[4 * j + 3])),
               p, tile, first_output, j);
}

// f32: 8 lanes write 32 neighbouring bytes of a row as they are.
template <int Sums>
__device__ void store_sums(float /*out*/, const float (&sums)[Sums], const GroupedGemmParams& p,
                           const Tile& tile, int first_output) {
  int row = 2 * static_cast<int>(threadIdx.x % 4);
  const int output = first_output + static_cast<int>(threadIdx.x % 32 / 4);
  float* to = static_cast<float*>(p.out) + (tile.first + row) * p.n + output;
#pragma unroll
  for (int j = 0; j < Sums / 4; ++j) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if (row + i % 2 < tile.rows && output + i / 2 * 8 < p.n)
        to[(i % 2 == 0 ? 0 : p.n) + i / 2 * 8] = sums[4 * j + i];
    }
    row += 8;
    to += 8 * static_cast<int64_t>(p.n);
    asm volatile("" : "+l"(to), "+r"(row));  // one address at a time: the sums leave few registers
  }
}

// The four products of a stage for 64 rows of weights.
template <class Operands, int Width>
__device__ void multiply_stage(float (&sums)[Width / 2], const Stage<Operands>& stage, int rows,
                               bool add) {
  const uint64_t w = wgmma_operand(stage.w + rows * 64 * 128, 1024, 0);
  const uint64_t x = wgmma_operand(stage.x, 1024, 0);
#pragma unroll
  for (int step = 0; step < 4; ++step)
    wgmma_width<typename Operands::Element, Width>(
        sums, wgmma_advance(w, step * 32), wgmma_advance(x, step * 32), (add || step > 0) ? 1 : 0);
}

// All stages of a tile, summed by the tensor cores; one stage runs while the next is queued.
template <int Width>
__device__ void sum_stages(float (&sums)[kHalves][Width / 2], Shared<Bf16Operands>& s,
                           const GroupedGemmParams& p, RingPlace& at, int group) {
  int previous = -1;
  for (int depth = 0; depth < p.k; depth += Bf16Operands::kDepth) {
    barrier_wait(&s.full[at.stage], at.parity);
    wgmma_fence();
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
      multiply_stage<Bf16Operands, Width>(sums[half], s.stages[at.stage], group * kHalves + half,
                                          true);
    wgmma_commit();
    wgmma_wait<1>();
    if (previous >= 0)
      barrier_arrive_warp(&s.empty[previous]);
    previous = at.stage;
    at.advance(Bf16Operands::kStages);
  }
  wgmma_wait<0>();
#pragma unroll
  for (int half = 0; half < kHalves; ++half) wgmma_touch(sums[half]);
  barrier_arrive_warp(&s.empty[previous]);
}

// All stages of a tile, summed outside the tensor cores, which the other warpgroup keeps busy. A
// stage is waited for while the last products of the one before run.
template <int Width>
__device__ void sum_stages(float (&sums)[kHalves][Width / 2], Shared<Fp8Operands>& s,
                           const GroupedGemmParams& p, RingPlace& at, int group) {
  barrier_wait(&s.full[at.stage], at.parity);
  for (int depth = 0; depth < p.k; depth += Fp8Operands::kDepth) {
    const int stage = at.stage;
    at.advance(Fp8Operands::kStages);
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      float part[Width / 2];
      wgmma_fence();
      multiply_stage<Fp8Operands, Width>(part, s.stages[stage], group * kHalves + half, false);
      wgmma_commit();
      if (half == kHalves - 1 && depth + Fp8Operands::kDepth < p.k)
        barrier_wait(&s.full[at.stage], at.parity);
      wgmma_wait<0>();
      wgmma_touch(part);
      if (half == kHalves - 1)
        barrier_arrive_warp(&s.empty[stage]);
#pragma unroll
      for (int i = 0; i < Width / 2; ++i) sums[half][i] += part[i];
    }
  }
}

// The products of one tile for the 128 rows of weights of a warpgroup.
template <class Operands, int Width, typename Out, bool Gated>
__device__ void run_tile(Shared<Operands>& s, const GroupedGemmParams& p, const Tile& tile,
                         RingPlace& at, int group) {
  // Cleared, not left to the first product: a register that looks read before it is written is live
  // around the loop over tiles, and the widths' sums would not share registers.
  float sums[kHalves][Width / 2] = {};
  sum_stages<Width>(sums, s, p, at, group);
  const int warp = static_cast<int>(threadIdx.x % 128 / 32);
  // Of the warp: gated, 16 outputs, 8 from each half; else 16 of each half.
  const int first_output = tile.output + group * (kTileOutputs<Gated> / 2) + warp * 16;
  constexpr int kHalfApart = Gated ? 8 : 64;
  if (p.weights[tile.expert].scales != nullptr) {
#pragma unroll
    for (int half = 0; half < kHalves; ++half)
      apply_scales<Operands>(sums[half], p, tile,
                             scales_of<Gated>(p, tile, first_output + half * kHalfApart));
  }
  if constexpr (Gated) {
    if (p.weights[tile.expert].second_is_gate) {
      store_gated<1>(sums, p, tile, first_output);
    } else {
      store_gated<0>(sums, p, tile, first_output);
    }
  } else {
#pragma unroll
    for (int half = 0; half < kHalves; ++half) {
      if (p.silu) {
#pragma unroll
        for (float& sum : sums[half]) sum = silu(sum);
      }
      store_sums(Out{}, sums[half], p, tile, first_output + half * kHalfApart);
    }
  }
}

template <class Operands, typename Out, bool Gated>
__device__ void consume(Shared<Operands>& s, const GroupedGemmParams& p, int group) {
  RingPlace at;
  RingPlace note;
  for (;;) {
    barrier_wait(&s.note_full[note.stage], note.parity);
    const Tile tile = s.notes[note.stage];
    barrier_arrive_warp(&s.note_empty[note.stage]);
    note.advance(kNotes);
    if (tile.expert < 0)
      return;
    switch (__shfl_sync(kWholeWarp, tile.width, 0)) {
#define MM_WIDTH(width)                                             \
  case width:                                                       \
    if constexpr (width <= Operands::kTileRows)                     \
      run_tile<Operands, width, Out, Gated>(s, p, tile, at, group); \
    break;
      MM_WIDTH(32)
      MM_WIDTH(64)
      MM_WIDTH(96)
      MM_WIDTH(104)
      MM_WIDTH(112)
      MM_WIDTH(120)
      MM_WIDTH(128)
      MM_WIDTH(136)
      MM_WIDTH(144)
      MM_WIDTH(152)
      MM_WIDTH(160)
      MM_WIDTH(168)
      MM_WIDTH(176)
      MM_WIDTH(184)
      MM_WIDTH(192)
#undef MM_WIDTH
      default:
        __trap();
    }
  }
}

template <class Operands, typename Out, bool Gated>
__global__ void __launch_bounds__(kThreads, 1)
    grouped_gemm_kernel(const GroupedGemmParams p, const __grid_constant__ RowMaps x) {
  extern __shared__ __align__(1024) char memory[];
  auto& s = *reinterpret_cast<Shared<Operands>*>(memory);
  if (threadIdx.x == 0) {
    for (int i = 0; i < Operands::kStages; ++i) {
      barrier_init(&s.full[i], 1);
      barrier_init(&s.empty[i], 8);
    }
    for (int i = 0; i < kNotes; ++i) {
      barrier_init(&s.note_full[i], 1);
      barrier_init(&s.note_empty[i], 8);
    }
    barrier_init_fence();
  }
  __syncthreads();
  static_assert(registers_suffice(232, 40));
  const int role = uniform_warpgroup();
  if (role < 2) {
    take_registers<232>();
    consume<Operands, Out, Gated>(s, p, role);
  } else {
    give_registers<40>();
    if (threadIdx.x == 256)
      produce<Operands, Gated>(s, p, x);
  }
}

}  // namespace

template <class Operands, typename Out, bool Gated>
void launch_grouped_kernel(const GroupedGemmParams& params, const RowMaps& x, int blocks,
                           cudaStream_t stream) {
  constexpr auto kBytes = static_cast<int>(sizeof(Shared<Operands>));
  auto* kernel = grouped_gemm_kernel<Operands, Out, Gated>;
  MM_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
  kernel<<<blocks, kThreads, kBytes, stream>>>(params, x);
}

template <class Operands>
void launch_grouped_gemm_of(const GroupedGemmParams& params, const RowMaps& x, int blocks,
                            cudaStream_t stream) {
  if (params.gated) {
    launch_grouped_kernel<Operands, bf16, true>(params, x, blocks, stream);
  } else {
    visit_float(params.out_type, [&](auto out) {
      launch_grouped_kernel<Operands, decltype(out), false>(params, x, blocks, stream);
    });
  }
  MM_CUDA(cudaGetLastError());
}

}  // namespace mm::cuda
