// Work split: persistent blocks, one a multiprocessor; a tile is 128 outputs × up to 256 rows of
// one expert. The outputs are the 64-row operand of wgmma and the rows of x its columns, whose
// number may be any multiple of 16: an expert's rows are cut into equal tiles, so 530 rows cost 3 ×
// 192 and not 5 × 128, and blocks that share weights in L2 keep pace. Tiles are counted from the
// offsets on the device, rows fastest. Rows behind an expert's end are computed and not stored.
//   warps 0-7   two warpgroups, 64 outputs each: up to 128 sums a thread
//   warps 8-11  one thread feeds the copy engine
// Shared memory: 4 stages of w [128 × 64] 16 KiB and x [256 × 64] 32 KiB: 192 KiB.
// No clusters: sharing a tile's operands between two blocks by multicast ties them together and
// ran at 0.65 of this speed.
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
constexpr int kThreads = 384;

struct Stage {
  char w[kTileOutputs * 128];  // [output][64] bf16, swizzled
  char x[kTileRows * 128];     // [row][64] bf16, swizzled
};

struct Shared {
  Stage stages[kStages];
  uint64_t full[kStages], empty[kStages];
};

struct Tile {
  int expert;     // -1: none
  int64_t first;  // row
  int rows;       // to store
  int width;      // to compute: a width of wgmma, at least `rows`
  int output;     // first one
};

// A width of wgmma for `rows` rows, at most 256: multiples of 32 to 128, of 16 beyond.
__device__ int width_for(int rows) {
  const int step = rows <= 128 ? 32 : 16;
  return (rows + step - 1) / step * step;
}

__device__ Tile find_tile(const GroupedGemmParams& p, int64_t index) {
  const int across = (p.n + kTileOutputs - 1) / kTileOutputs;
  for (int e = 0; e < p.experts; ++e) {
    const int64_t begin = p.offsets == nullptr ? 0 : p.offsets[e];
    const int64_t end = p.offsets == nullptr ? p.rows : p.offsets[e + 1];
    const int64_t high = (end - begin + kTileRows - 1) / kTileRows;
    if (index < high * across) {
      const int width = width_for(static_cast<int>((end - begin + high - 1) / high));
      const int64_t first = begin + index % high * width;
      const int64_t rows = max(min(end - first, static_cast<int64_t>(width)), int64_t{0});
      return {e, first, static_cast<int>(rows), width,
              static_cast<int>(index / high) * kTileOutputs};
    }
    index -= high * across;
  }
  return {-1, 0, 0, 0, 0};
}

__device__ void produce(Shared& s, const GroupedGemmParams& p, const CUtensorMap* x) {
  RingPlace at;
  for (int64_t index = blockIdx.x;; index += gridDim.x) {
    const Tile tile = find_tile(p, index);
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
  for (int64_t index = blockIdx.x;; index += gridDim.x) {
    const Tile tile = find_tile(p, index);
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
      MM_WIDTH(144)
      MM_WIDTH(160)
      MM_WIDTH(176)
      MM_WIDTH(192)
      MM_WIDTH(208)
      MM_WIDTH(224)
      MM_WIDTH(240)
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
