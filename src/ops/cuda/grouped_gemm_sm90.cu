// Work split: persistent blocks, one a multiprocessor; a tile is 128 outputs × up to 256 rows of
// one expert. The outputs are the 64-row operand of wgmma and the rows of x its columns, whose
// number may be any multiple of 8: an expert's rows are cut into equal tiles, so 530 rows cost 3 ×
// 184 and not 5 × 128, and blocks that share weights in L2 keep pace. Tiles are counted from the
// offsets on the device, rows fastest, and taken from a counter, because they differ in width. Rows
// behind an expert's end are computed and not stored.
//   warps 0-7   two warpgroups, 64 outputs each: up to 128 sums a thread
//   warps 8-11  one thread feeds the copy engine
// Shared memory: 4 stages of w [128 × 64] 16 KiB and x [256 × 64] 32 KiB: 192 KiB.
// No clusters: sharing an operand between two blocks by multicast ran at 0.65 of this speed.
// Expected limit: the tensor cores from about 270 rows an expert, memory below.
#include "ops/cuda/check.h"
#include "ops/cuda/grouped_gemm_sm90.h"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/matrix.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/prim/tma.cuh"
#include "ops/cuda/prim/wgmma_width.cuh"

namespace mm::cuda {
namespace {

constexpr int kTileRows = 256;
constexpr int kTileOutputs = kWeightBox;
constexpr int kDepth = 64;
constexpr int kStages = 4;
constexpr int kNotes = 2;
constexpr int kThreads = 384;

struct Stage {
  char w[kTileOutputs * 128];  // [output][64] bf16, swizzled
  char x[kTileRows * 128];     // [row][64] bf16, swizzled
};

struct Tile {
  int expert;     // -1: none
  int64_t first;  // row
  int rows;       // to store
  int width;      // to compute: a width of wgmma, at least `rows`
  int output;     // first one
};

struct Shared {
  Stage stages[kStages];
  Tile notes[kNotes];  // from the producer to the others
  uint64_t full[kStages], empty[kStages];
  uint64_t note_full[kNotes], note_empty[kNotes];
};

// A width of wgmma for `rows` rows, at most 256: multiples of 32 to 128, of 8 beyond.
__device__ int width_for(int rows) {
  const int step = rows <= 128 ? 32 : 8;
  return (rows + step - 1) / step * step;
}

// Finds tiles whose numbers ascend: each search goes on where the last one ended.
class TileWalk {
 public:
  __device__ explicit TileWalk(const GroupedGemmParams& params)
      : p_(params), across_((params.n + kTileOutputs - 1) / kTileOutputs) {}

  __device__ Tile find(int64_t index) {
    for (; expert_ < p_.experts; ++expert_) {
      const int64_t begin = p_.offsets == nullptr ? 0 : p_.offsets[expert_];
      const int64_t end = p_.offsets == nullptr ? p_.rows : p_.offsets[expert_ + 1];
      const auto rows = static_cast<int>(end - begin);
      const int high = (rows + kTileRows - 1) / kTileRows;
      const auto local = static_cast<int>(index - before_);
      if (local < high * across_) {
        const int width = width_for((rows + high - 1) / high);
        const int skipped = local % high * width;
        return {expert_, begin + skipped, max(min(rows - skipped, width), 0), width,
                local / high * kTileOutputs};
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
__device__ Tile take_tile(const GroupedGemmParams& p, TileWalk& walk, int64_t& index) {
  const Tile tile = walk.find(index);
  if (tile.expert >= 0)
    return tile;
  if (index - gridDim.x == walk.total() - 1)
    *p.counter = 0;
  return tile;
}

__device__ void produce(Shared& s, const GroupedGemmParams& p, const CUtensorMap* x) {
  RingPlace at;
  RingPlace note;
  TileWalk walk(p);
  int64_t index = blockIdx.x;
  for (;;) {
    const Tile tile = take_tile(p, walk, index);
    barrier_wait(&s.note_empty[note.stage], note.parity ^ 1U);
    s.notes[note.stage] = tile;
    barrier_arrive(&s.note_full[note.stage]);
    note.advance(kNotes);
    if (tile.expert < 0)
      return;
    const CUtensorMap* w = p.weights + tile.expert;
    const int boxes = (tile.width + kRowBox - 1) / kRowBox;
    const auto bytes = static_cast<uint32_t>((kTileOutputs + boxes * kRowBox) * 128);
    for (int depth = 0; depth < p.k; depth += kDepth) {
      Stage& stage = s.stages[at.stage];
      uint64_t* full = &s.full[at.stage];
      barrier_wait(&s.empty[at.stage], at.parity ^ 1U);
      barrier_expect(full, bytes);
      tma_load_2d(stage.w, w, full, depth, tile.output);
      for (int box = 0; box < boxes; ++box)
        tma_load_2d(stage.x + box * kRowBox * 128, x, full, depth,
                    static_cast<int>(tile.first) + box * kRowBox);
      at.advance(kStages);
    }
    index = gridDim.x + atomicAdd(p.counter, 1);  // its wait hides behind the stages just queued
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

// The products of one tile for the 64 outputs of a warpgroup.
template <int Width, typename Out>
__device__ void run_tile(Shared& s, const GroupedGemmParams& p, const Tile& tile, RingPlace& at,
                         int group) {
  // Cleared, not left to the first product: a register that looks read before it is written is live
  // around the loop over tiles, and the widths' sums would not share registers.
  float sums[Width / 2] = {};
  int previous = -1;
  for (int depth = 0; depth < p.k; depth += kDepth) {
    const Stage& stage = s.stages[at.stage];
    barrier_wait(&s.full[at.stage], at.parity);
    const uint64_t w = wgmma_operand(stage.w + group * 64 * 128, 1024, 0);
    const uint64_t x = wgmma_operand(stage.x, 1024, 0);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < kDepth / 16; ++step)
      wgmma_width<Width>(sums, wgmma_advance(w, step * 32), wgmma_advance(x, step * 32), 1);
    wgmma_commit();
    wgmma_wait<1>();
    if (previous >= 0)
      barrier_arrive_warp(&s.empty[previous]);
    previous = at.stage;
    at.advance(kStages);
  }
  wgmma_wait<0>();
  wgmma_touch(sums);
  barrier_arrive_warp(&s.empty[previous]);
  const int warp = static_cast<int>(threadIdx.x % 128 / 32);
  store_sums<Out>(sums, p, tile, tile.output + group * 64 + warp * 16);
}

template <typename Out>
__device__ void consume(Shared& s, const GroupedGemmParams& p, int group) {
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
#define MM_WIDTH(width)                          \
  case width:                                    \
    run_tile<width, Out>(s, p, tile, at, group); \
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

template <typename Out>
__global__ void __launch_bounds__(kThreads, 1)
    grouped_gemm_kernel(const GroupedGemmParams p, const __grid_constant__ CUtensorMap x) {
  extern __shared__ __align__(1024) char memory[];
  Shared& s = *reinterpret_cast<Shared*>(memory);
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
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
    consume<Out>(s, p, role);
  } else {
    give_registers<40>();
    if (threadIdx.x == 256)
      produce(s, p, &x);
  }
}

}  // namespace

void launch_grouped_gemm(const GroupedGemmParams& params, const CUtensorMap& x, int blocks,
                         cudaStream_t stream) {
  visit_float(params.out_type, [&](auto out) {
    auto* kernel = grouped_gemm_kernel<decltype(out)>;
    MM_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(sizeof(Shared))));
    kernel<<<blocks, kThreads, sizeof(Shared), stream>>>(params, x);
  });
  MM_CUDA(cudaGetLastError());
}

}  // namespace mm::cuda
