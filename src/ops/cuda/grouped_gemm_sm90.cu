// Work split: persistent clusters of two blocks; a cluster makes 256 rows of one expert × 256
// outputs, a block 128 of these outputs. Tiles are counted from the experts' offsets on the device,
// rows fastest, so that the clusters at work together share weights in L2. A tile begins at its
// expert's row, never at a multiple: rows behind the expert's end are computed (in steps of 64) and
// not stored.
//   warps 0-7  two warpgroups; of the four 64-row parts of a tile, warpgroup w takes w and w + 2:
//              128 sums a thread
//   warps 8-11 one thread feeds the copy engine; each block loads one half of the rows for both
//              (multicast) and its own weights
// Shared memory: 4 stages of x [256 × 64] 32 KiB and w [128 × 64] 16 KiB: 192 KiB.
// Expected limit: the tensor cores from about 270 rows an expert, memory below.
#include "ops/cuda/check.h"
#include "ops/cuda/grouped_gemm_sm90.h"
#include "ops/cuda/prim/cluster.cuh"
#include "ops/cuda/prim/expert_tiles.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/prim/tma.cuh"
#include "ops/cuda/prim/wgmma.cuh"

namespace mm::cuda {
namespace {

constexpr int kTileRows = 2 * kRowBox;
constexpr int kTileColumns = 2 * kWeightBox;  // of a cluster
constexpr int kDepth = 64;
constexpr int kStages = 4;
constexpr int kThreads = 384;
constexpr int kPart = 64;  // rows of one product

struct Stage {
  char x[kTileRows * 128];   // [row][64] bf16, swizzled
  char w[kWeightBox * 128];  // [row][64] bf16, swizzled
};

struct Shared {
  Stage stages[kStages];
  uint64_t full[kStages], empty[kStages];
};

struct Tile {
  int expert;     // -1: none
  int64_t first;  // row
  int rows;       // at most kTileRows
  int column;     // of the cluster
};

__device__ Tile find_tile(const GroupedGemmParams& p, int64_t index) {
  const int columns = (p.n + kTileColumns - 1) / kTileColumns;
  for (int e = 0; e < p.experts; ++e) {
    const int64_t begin = p.offsets == nullptr ? 0 : p.offsets[e];
    const int64_t end = p.offsets == nullptr ? p.rows : p.offsets[e + 1];
    const int64_t high = (end - begin + kTileRows - 1) / kTileRows;
    if (index < high * columns) {
      const int64_t first = begin + index % high * kTileRows;
      return {e, first, static_cast<int>(min(end - first, static_cast<int64_t>(kTileRows))),
              static_cast<int>(index / high) * kTileColumns};
    }
    index -= high * columns;
  }
  return {-1, 0, 0, 0};
}

__device__ void produce(Shared& s, const GroupedGemmParams& p, const CUtensorMap* x) {
  const auto rank = static_cast<int>(cluster_rank());
  RingPlace at;
  for (int64_t index = blockIdx.x / 2;; index += gridDim.x / 2) {
    const Tile tile = find_tile(p, index);
    if (tile.expert < 0)
      return;
    const CUtensorMap* w = p.weights + tile.expert;
    const int row = static_cast<int>(tile.first) + rank * kRowBox;
    const int column = tile.column + rank * kWeightBox;
    for (int depth = 0; depth < p.k; depth += kDepth) {
      Stage& stage = s.stages[at.stage];
      uint64_t* full = &s.full[at.stage];
      barrier_wait(&s.empty[at.stage], at.parity ^ 1U);
      barrier_expect(full, sizeof(Stage));
      tma_load_2d_multicast(stage.x + rank * kRowBox * 128, x, full, 3, depth, row);
      tma_load_2d(stage.w, w, full, depth, column);
      at.advance(kStages);
    }
  }
}

// Of a 4 × 4 exchange among the four threads of a row: thread t gets word t of each.
__device__ void exchange(uint32_t (&words)[4]) {
  const unsigned t = threadIdx.x % 4;
#pragma unroll
  for (int step = 1; step <= 2; step *= 2) {
    const bool upper = (t & step) != 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      if ((i & step) != 0)
        continue;
      const uint32_t sent = upper ? words[i] : words[i + step];
      const uint32_t got = __shfl_xor_sync(kWholeWarp, sent, step);
      if (upper) {
        words[i] = got;
      } else {
        words[i + step] = got;
      }
    }
  }
}

// One 64 × 128 part to memory, rows ≥ `rows` and columns ≥ N left out.
template <typename Out>
__device__ void store_part(const float (&sums)[64], const GroupedGemmParams& p, int64_t first,
                           int rows, int column) {
  const int t = static_cast<int>(threadIdx.x % 4);
  const int line = static_cast<int>(threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4);
  Out* out = static_cast<Out*>(p.out) + first * p.n;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int row = line + 8 * i;
    Out* to = out + static_cast<int64_t>(row) * p.n;
    if constexpr (sizeof(Out) == 2) {
#pragma unroll
      for (int j = 0; j < 16; j += 4) {
        uint32_t words[4];
#pragma unroll
        for (int m = 0; m < 4; ++m)
          words[m] = pack_bf16(sums[4 * (j + m) + 2 * i], sums[4 * (j + m) + 2 * i + 1]);
        exchange(words);
        const int at = column + 8 * (j + t);
        if (row < rows && at < p.n)
          *reinterpret_cast<uint4*>(to + at) = uint4{words[0], words[1], words[2], words[3]};
      }
    } else {
#pragma unroll
      for (int j = 0; j < 16; ++j) {
        const int at = column + 8 * j + 2 * t;
        if (row < rows && at < p.n)
          *reinterpret_cast<float2*>(to + at) = {sums[4 * j + 2 * i], sums[4 * j + 2 * i + 1]};
      }
    }
  }
}

__device__ void release(Shared& s, int stage) {
  __syncwarp();
  const unsigned lane = threadIdx.x % 32;
  if (lane < 2)
    barrier_arrive_at(&s.empty[stage], lane);
}

// The products of one tile for a warpgroup with `Parts` parts that have rows.
template <int Parts, typename Out>
__device__ void run_tile(Shared& s, const GroupedGemmParams& p, const Tile& tile, RingPlace& at,
                         int group) {
  float sums[Parts > 0 ? Parts : 1][64];
  int previous = -1;
  for (int depth = 0; depth < p.k; depth += kDepth) {
    const Stage& stage = s.stages[at.stage];
    barrier_wait(&s.full[at.stage], at.parity);
    if constexpr (Parts > 0) {
      const uint64_t x = wgmma_operand(stage.x + group * kPart * 128, 1024, 0);
      const uint64_t w = wgmma_operand(stage.w, 1024, 0);
      wgmma_fence();
#pragma unroll
      for (int step = 0; step < kDepth / 16; ++step) {
#pragma unroll
        for (int part = 0; part < Parts; ++part)
          wgmma<0>(sums[part], wgmma_advance(x, part * 2 * kPart * 128 + step * 32),
                   wgmma_advance(w, step * 32), depth > 0 || step > 0);
      }
      wgmma_commit();
      wgmma_wait<1>();
    }
    if (previous >= 0)
      release(s, previous);
    previous = at.stage;
    at.advance(kStages);
  }
  if constexpr (Parts > 0)
    wgmma_wait<0>();
  release(s, previous);
  const int column = tile.column + static_cast<int>(cluster_rank()) * kWeightBox;
#pragma unroll
  for (int part = 0; part < Parts; ++part) {
    wgmma_touch(sums[part]);
    const int line = (group + 2 * part) * kPart;
    store_part<Out>(sums[part], p, tile.first + line, tile.rows - line, column);
  }
}

template <typename Out>
__device__ void consume(Shared& s, const GroupedGemmParams& p, int group) {
  RingPlace at;
  for (int64_t index = blockIdx.x / 2;; index += gridDim.x / 2) {
    const Tile tile = find_tile(p, index);
    if (tile.expert < 0)
      return;
    const int parts =
        __shfl_sync(kWholeWarp, (tile.rows > group * kPart) + (tile.rows > (group + 2) * kPart), 0);
    if (parts == 2) {
      run_tile<2, Out>(s, p, tile, at, group);
    } else if (parts == 1) {
      run_tile<1, Out>(s, p, tile, at, group);
    } else {
      run_tile<0, Out>(s, p, tile, at, group);
    }
  }
}

template <typename Out>
__global__ void __cluster_dims__(2, 1, 1) __launch_bounds__(kThreads, 1)
    grouped_gemm_kernel(const GroupedGemmParams p, const __grid_constant__ CUtensorMap x) {
  extern __shared__ __align__(1024) char memory[];
  Shared& s = *reinterpret_cast<Shared*>(memory);
  if (threadIdx.x == 0) {
    for (int i = 0; i < kStages; ++i) {
      barrier_init(&s.full[i], 1);
      barrier_init(&s.empty[i], 16);  // 8 warps of each of the two blocks
    }
    barrier_init_fence();
  }
  cluster_sync();
  const int role = uniform_warpgroup();
  if (role < 2) {
    take_registers<232>();
    consume<Out>(s, p, role);
  } else {
    give_registers<40>();
    if (threadIdx.x == 256)
      produce(s, p, &x);
  }
  __syncwarp();
  cluster_sync();  // the other block may still arrive at this one's barriers
}

}  // namespace

void launch_grouped_gemm(const GroupedGemmParams& params, const CUtensorMap& x, unsigned blocks,
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
