/// The kernel of products of rows grouped by expert, for operands of two types.
///
/// Work split: persistent blocks, one a multiprocessor; a tile is 128 outputs × up to kTileRows
/// rows of one expert. The outputs are the 64-row operand of wgmma and the rows of x its columns,
/// whose number may be any multiple of 8: an expert's rows are cut into equal tiles, so 530 rows
/// cost 3 × 184 and not 5 × 128, and blocks that share weights in L2 keep pace. Tiles are counted
/// from the offsets on the device, rows fastest, and taken from a counter, because they differ in
/// width. Rows behind an expert's end are computed and not stored.
/// A gated product takes its 128 rows of weights from two matrices, eight rows of each in turn: a
/// thread's sums are then those of gate and up of the same outputs, 64 a tile, and what is stored
/// is silu(gate) · up.
///   warps 0-7   two warpgroups, 64 rows of weights each: up to 128 sums a thread
///   warps 8-11  one thread feeds the copy engine
/// Shared memory: stages of w [128 × 128 bytes] 16 KiB and x [kTileRows × 128 bytes], about 200
/// KiB. No clusters: sharing an operand between two blocks by multicast ran at 0.65 of this speed.
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
  static constexpr int kTileRows = 256;
  static constexpr int kStages = 4;
};

/// e4m3: 128 elements. The tensor cores' sums of them keep about 14 bits, so each stage's are added
/// in f32 to others, which leaves registers for fewer rows.
struct Fp8Operands {
  using Element = __nv_fp8_e4m3;
  static constexpr DType kType = DType::kF8E4M3;
  static constexpr int kDepth = 128;
  static constexpr int kTileRows = 192;
  static constexpr int kStages = 5;
};

namespace {

constexpr int kTileWeights = 128;  // rows
constexpr int kNotes = 2;
constexpr int kTogether = 16;  // with 256 rows of 6,144 bf16: 50 MB at most, weights besides
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

// A width of wgmma for `rows` rows, at most 256: multiples of 32 to 128, of 8 beyond.
__device__ int width_for(int rows) {
  const int step = rows <= 128 ? 32 : 8;
  return (rows + step - 1) / step * step;
}

// Finds tiles whose numbers ascend: each search goes on where the last one ended.
template <bool Gated>
class TileWalk {
 public:
  __device__ explicit TileWalk(const GroupedGemmParams& params)
      : p_(params), across_((params.n + kTileOutputs<Gated> - 1) / kTileOutputs<Gated>) {}

  /// Tiles of up to `most` rows. Within an expert they run over all outputs of kTogether rows of
  /// tiles before they go on to the next: what is read at a time stays in L2.
  __device__ Tile find(int64_t index, int most) {
    for (; expert_ < p_.experts; ++expert_) {
      const int64_t begin = p_.offsets == nullptr ? 0 : p_.offsets[expert_];
      const int64_t end = p_.offsets == nullptr ? p_.rows : p_.offsets[expert_ + 1];
      const auto rows = static_cast<int>(end - begin);
      const int high = (rows + most - 1) / most;
      const auto local = static_cast<int>(index - before_);
      if (local < high * across_) {
        const int width = width_for((rows + high - 1) / high);
        const int skip = local / (kTogether * across_) * kTogether;
        const int together = min(kTogether, high - skip);
        const int place = local - skip * across_;
        const int skipped = (skip + place % together) * width;
        return {expert_, begin + skipped, max(min(rows - skipped, width), 0), width,
                place / together * kTileOutputs<Gated>};
      }
      before_ += high * across_;
    }
    return {-1, 0, 0, 0, 0};
  }
  /// Tiles of all experts, once find() has come to their end.
  __device__ int64_t total() const { return before_; }

 private:
  const GroupedGemmParams& p_;
  int across_;
  int expert_ = 0;
  int64_t before_ = 0;  // tiles of the experts before
};

// The next tile of this block: whoever is free takes the next number. The block that takes the last
// one of all, which is none, leaves the counter as it found it.
template <class Operands, bool Gated>
__device__ Tile take_tile(const GroupedGemmParams& p, TileWalk<Gated>& walk, int64_t index) {
  const Tile tile = walk.find(index, Operands::kTileRows);
  if (tile.expert >= 0)
    return tile;
  if (index - gridDim.x == walk.total() - 1)
    *p.counter = 0;
  return tile;
}

template <class Operands, bool Gated>
__device__ void produce(Shared<Operands>& s, const GroupedGemmParams& p, const CUtensorMap* x) {
  RingPlace at;
  RingPlace note;
  TileWalk<Gated> walk(p);
  int64_t index = blockIdx.x;
  for (;;) {
    const Tile tile = take_tile<Operands>(p, walk, index);
    barrier_wait(&s.note_empty[note.stage], note.parity ^ 1U);
    s.notes[note.stage] = tile;
    barrier_arrive(&s.note_full[note.stage]);
    note.advance(kNotes);
    if (tile.expert < 0)
      return;
    const CUtensorMap* w = &p.weights[tile.expert].map;
    const int boxes = (tile.width + kRowBox - 1) / kRowBox;
    const auto bytes = static_cast<uint32_t>((kTileWeights + boxes * kRowBox) * 128);
    for (int depth = 0; depth < p.k; depth += Operands::kDepth) {
      Stage<Operands>& stage = s.stages[at.stage];
      uint64_t* full = &s.full[at.stage];
      barrier_wait(&s.empty[at.stage], at.parity ^ 1U);
      barrier_expect(full, bytes);
      if constexpr (Gated) {
        tma_load_4d(stage.w, w, full, depth, 0, 0, tile.output / kGatedRows);
      } else {
        tma_load_2d(stage.w, w, full, depth, tile.output);
      }
      for (int box = 0; box < boxes; ++box)
        tma_load_2d(stage.x + box * kRowBox * 128, x, full, depth,
                    static_cast<int>(tile.first) + box * kRowBox);
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
  const int t = static_cast<int>(threadIdx.x % 4);
  const float* of_row = p.x_scales + tile.first + 2 * t;
#pragma unroll
  for (int j = 0; j < Sums / 4; ++j) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float scale = 1;
      if constexpr (Operands::kType == DType::kF8E4M3)
        scale = 8 * j + 2 * t + i < tile.rows ? of_row[8 * j + i] : 0.0F;
      sums[4 * j + i] *= of_output.low * scale;
      sums[4 * j + 2 + i] *= of_output.high * scale;
    }
  }
}

// x · sigmoid(x). The approximations of exponential and reciprocal are off by less than 2⁻²⁰.
__device__ float silu(float x) {
  constexpr float kLog2E = 1.44269504F;
  return x * fast_reciprocal(1.0F + fast_exp2(-kLog2E * x));
}

// Outputs o = 8 warp + g of rows 8 j + 2 t + {0, 1}, from the sums of gate and up that a thread
// holds, to memory: transposed within the warp, so that 4 lanes write 16 bytes of a row. `Gate` is
// the place of the gate's sums among the two.
template <int Gate, int Sums>
__device__ void store_gated(const float (&sums)[Sums], const GroupedGemmParams& p, const Tile& tile,
                            int first_output) {
  const int g = static_cast<int>(threadIdx.x % 32 / 4);
  const int t = static_cast<int>(threadIdx.x % 4);
  bf16* out = static_cast<bf16*>(p.out) + tile.first * p.n + first_output + 2 * t;
#pragma unroll
  for (int j = 0; j < Sums / 4; ++j) {
    const float* gate = &sums[4 * j + 2 * Gate];
    const float* up = &sums[4 * j + 2 - 2 * Gate];
    const uint32_t word = transpose_matrix(pack_bf16(silu(gate[0]) * up[0], silu(gate[1]) * up[1]));
    const int row = 8 * j + g;
    if (row < tile.rows && first_output < p.n)
      *reinterpret_cast<uint32_t*>(out + static_cast<int64_t>(row) * p.n) = word;
  }
}

// Outputs o = 16 warp + {g, g + 8} of rows 8 j + 2 t + {0, 1}, as a thread holds them, to memory.
// f32: 8 lanes write 32 neighbouring bytes of a row as they are. bf16: transposed within the warp
// first, then paired, so that 4 lanes write 32 bytes.
template <typename Out, int Sums>
__device__ void store_sums(const float (&sums)[Sums], const GroupedGemmParams& p, const Tile& tile,
                           int first_output) {
  const int g = static_cast<int>(threadIdx.x % 32 / 4);
  const int t = static_cast<int>(threadIdx.x % 4);
  Out* out = static_cast<Out*>(p.out) + tile.first * p.n;
#pragma unroll
  for (int j = 0; j < Sums / 4; ++j) {
    if constexpr (sizeof(Out) == 4) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int row = 8 * j + 2 * t + i % 2;
        const int output = first_output + g + i / 2 * 8;
        if (row < tile.rows && output < p.n)
          out[static_cast<int64_t>(row) * p.n + output] = sums[4 * j + i];
      }
    } else {
      // Row g of the tile's 8: outputs 2 t, 2 t + 1 (low) and 8 + 2 t, 9 + 2 t (high).
      const uint32_t low = transpose_matrix(pack_bf16(sums[4 * j], sums[4 * j + 1]));
      const uint32_t high = transpose_matrix(pack_bf16(sums[4 * j + 2], sums[4 * j + 3]));
      // Thread t takes outputs 4 t … 4 t + 3: words 2 t, 2 t + 1 of the row's eight.
      const int from = static_cast<int>(threadIdx.x % 32 - t) + 2 * t % 4;
      const uint32_t low0 = __shfl_sync(kWholeWarp, low, from);
      const uint32_t low1 = __shfl_sync(kWholeWarp, low, from + 1);
      const uint32_t high0 = __shfl_sync(kWholeWarp, high, from);
      const uint32_t high1 = __shfl_sync(kWholeWarp, high, from + 1);
      const int row = 8 * j + g;
      const int output = first_output + 4 * t;
      if (row < tile.rows && output < p.n)
        *reinterpret_cast<uint2*>(out + static_cast<int64_t>(row) * p.n + output) =
            t < 2 ? uint2{low0, low1} : uint2{high0, high1};
    }
  }
}

// The four products of a stage for the 64 outputs of a warpgroup.
template <class Operands, int Width>
__device__ void multiply_stage(float (&sums)[Width / 2], const Stage<Operands>& stage, int group,
                               bool add) {
  const uint64_t w = wgmma_operand(stage.w + group * 64 * 128, 1024, 0);
  const uint64_t x = wgmma_operand(stage.x, 1024, 0);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; ++step)
    wgmma_width<typename Operands::Element, Width>(
        sums, wgmma_advance(w, step * 32), wgmma_advance(x, step * 32), (add || step > 0) ? 1 : 0);
  wgmma_commit();
}

// All stages of a tile, summed by the tensor cores; one product runs while the next is queued.
template <int Width>
__device__ void sum_stages(float (&sums)[Width / 2], Shared<Bf16Operands>& s,
                           const GroupedGemmParams& p, RingPlace& at, int group) {
  int previous = -1;
  for (int depth = 0; depth < p.k; depth += Bf16Operands::kDepth) {
    barrier_wait(&s.full[at.stage], at.parity);
    multiply_stage<Bf16Operands, Width>(sums, s.stages[at.stage], group, true);
    wgmma_wait<1>();
    if (previous >= 0)
      barrier_arrive_warp(&s.empty[previous]);
    previous = at.stage;
    at.advance(Bf16Operands::kStages);
  }
  wgmma_wait<0>();
  wgmma_touch(sums);
  barrier_arrive_warp(&s.empty[previous]);
}

// All stages of a tile, summed outside the tensor cores, which the other warpgroup keeps busy.
template <int Width>
__device__ void sum_stages(float (&sums)[Width / 2], Shared<Fp8Operands>& s,
                           const GroupedGemmParams& p, RingPlace& at, int group) {
  for (int depth = 0; depth < p.k; depth += Fp8Operands::kDepth) {
    float part[Width / 2];
    barrier_wait(&s.full[at.stage], at.parity);
    multiply_stage<Fp8Operands, Width>(part, s.stages[at.stage], group, false);
    wgmma_wait<0>();
    wgmma_touch(part);
    barrier_arrive_warp(&s.empty[at.stage]);
    at.advance(Fp8Operands::kStages);
#pragma unroll
    for (int i = 0; i < Width / 2; ++i) sums[i] += part[i];
  }
}

// The products of one tile for the 64 rows of weights of a warpgroup.
template <class Operands, int Width, typename Out, bool Gated>
__device__ void run_tile(Shared<Operands>& s, const GroupedGemmParams& p, const Tile& tile,
                         RingPlace& at, int group) {
  // Cleared, not left to the first product: a register that looks read before it is written is live
  // around the loop over tiles, and the widths' sums would not share registers.
  float sums[Width / 2] = {};
  sum_stages<Width>(sums, s, p, at, group);
  const int warp = static_cast<int>(threadIdx.x % 128 / 32);
  const int first_output = tile.output + (group * 4 + warp) * (kTileOutputs<Gated> / 8);
  if (p.weights[tile.expert].scales != nullptr)
    apply_scales<Operands>(sums, p, tile, scales_of<Gated>(p, tile, first_output));
  if constexpr (Gated) {
    if (p.weights[tile.expert].second_is_gate) {
      store_gated<1>(sums, p, tile, first_output);
    } else {
      store_gated<0>(sums, p, tile, first_output);
    }
  } else {
    if (p.silu) {
#pragma unroll
      for (float& sum : sums) sum = silu(sum);
    }
    store_sums<Out>(sums, p, tile, first_output);
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
      MM_WIDTH(128)
      MM_WIDTH(136)
      MM_WIDTH(144)
      MM_WIDTH(152)
      MM_WIDTH(160)
      MM_WIDTH(168)
      MM_WIDTH(176)
      MM_WIDTH(184)
      MM_WIDTH(192)
      MM_WIDTH(200)
      MM_WIDTH(208)
      MM_WIDTH(216)
      MM_WIDTH(224)
      MM_WIDTH(232)
      MM_WIDTH(240)
      MM_WIDTH(248)
      MM_WIDTH(256)
#undef MM_WIDTH
      default:
        __trap();
    }
  }
}

template <class Operands, typename Out, bool Gated>
__global__ void __launch_bounds__(kThreads, 1)
    grouped_gemm_kernel(const GroupedGemmParams p, const __grid_constant__ CUtensorMap x) {
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
  const int role = uniform_warpgroup();
  if (role < 2) {
    take_registers<232>();
    consume<Operands, Out, Gated>(s, p, role);
  } else {
    give_registers<40>();
    if (threadIdx.x == 256)
      produce<Operands, Gated>(s, p, &x);
  }
}

}  // namespace

template <class Operands, typename Out, bool Gated>
void launch_grouped_kernel(const GroupedGemmParams& params, const CUtensorMap& x, int blocks,
                           cudaStream_t stream) {
  constexpr auto kBytes = static_cast<int>(sizeof(Shared<Operands>));
  auto* kernel = grouped_gemm_kernel<Operands, Out, Gated>;
  MM_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
  kernel<<<blocks, kThreads, kBytes, stream>>>(params, x);
}

template <class Operands>
void launch_grouped_gemm_of(const GroupedGemmParams& params, const CUtensorMap& x, int blocks,
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
