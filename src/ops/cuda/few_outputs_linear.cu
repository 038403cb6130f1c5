// Work split: a block of eight warps makes 32 outputs of 32 rows; the warps share the depth in
// chunks of 16 and meet in shared memory, in a fixed order. Both operands go from memory straight
// to the tensor cores (mma.sync, tf32): the depth may be permuted as long as both are read in the
// same order, so thread t of a row takes 4 neighbouring floats and feeds two products. Each float
// is the sum of two tf32 numbers, high and low, and the products high·high, high·low and low·high
// are kept: what is left out is 2⁻²² of a product. The weights come from L2.
// Shared memory: 8 × 32 × 33 floats. Expected limit: memory, the rows read once.
#include "ops/cuda/few_outputs_linear.h"
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"

namespace mm::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kRows = 32;
constexpr int kOutputs = 32;
constexpr int kChunk = 16;

struct Shared {
  float sums[kWarps][kRows][kOutputs + 1];
};

// A float as the sum of two tf32 numbers (11 significant bits each), up to 2⁻²² of it.
struct Split {
  uint32_t high, low;

  __device__ explicit Split(float x) {
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(high) : "f"(x));
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(low) : "f"(x - __uint_as_float(high)));
  }
};

__device__ void multiply_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

using Four = Pack4<float>;

// Four neighbours of row `row`, or zeros behind the last row.
__device__ Four load_four(const float* matrix, int64_t row, int64_t rows, int64_t depth,
                          int64_t k) {
  return row < rows ? *reinterpret_cast<const Four*>(matrix + row * depth + k) : Four{};
}

// The operands of one product: floats `at` and `at` + 1 of a thread's four stand for its two places
// along the depth.
struct RowOperand {
  uint32_t high[4], low[4];

  __device__ RowOperand(const Four& upper, const Four& lower, int at) {
    const float values[4] = {upper.at[at], lower.at[at], upper.at[at + 1], lower.at[at + 1]};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const Split split(values[i]);
      high[i] = split.high;
      low[i] = split.low;
    }
  }
};
struct OutputOperand {
  uint32_t high[2], low[2];

  __device__ OutputOperand(const Four& four, int at) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const Split split(four.at[at + i]);
      high[i] = split.high;
      low[i] = split.low;
    }
  }
};

__global__ void __launch_bounds__(32 * kWarps)
    few_outputs_kernel(const LinearParams p, const float* weight) {
  __shared__ Shared s;
  let_next_start();
  wait_for_previous();
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int g = static_cast<int>(threadIdx.x % 32 / 4);
  const int t = static_cast<int>(threadIdx.x % 4);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kRows;
  const int64_t output = static_cast<int64_t>(blockIdx.y) * kOutputs;
  const int64_t depth = p.shape.cols;
  const auto* x = static_cast<const float*>(p.x);
  float sums[2][4][4] = {};
#pragma unroll 2
  for (int64_t chunk = warp * kChunk; chunk < depth; chunk += kWarps * kChunk) {
    const int64_t k = chunk + 4 * t;
    Four rows[4];
    Four outputs[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      rows[i] = load_four(x, first + g + 8 * i, p.rows, depth, k);
      outputs[i] = load_four(weight, output + g + 8 * i, p.shape.rows, depth, k);
    }
#pragma unroll
    for (int at = 0; at < 4; at += 2) {
      const RowOperand a[2] = {{rows[0], rows[1], at}, {rows[2], rows[3], at}};
#pragma unroll
      for (int n = 0; n < 4; ++n) {
        const OutputOperand b(outputs[n], at);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          multiply_tf32(sums[m][n], a[m].low, b.high);
          multiply_tf32(sums[m][n], a[m].high, b.low);
          multiply_tf32(sums[m][n], a[m].high, b.high);
        }
      }
    }
  }
#pragma unroll
  for (int m = 0; m < 2; ++m) {
#pragma unroll
    for (int n = 0; n < 4; ++n) {
#pragma unroll
      for (int i = 0; i < 4; ++i)
        s.sums[warp][16 * m + g + i / 2 * 8][8 * n + 2 * t + i % 2] = sums[m][n][i];
    }
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < kRows * kOutputs; i += 32 * kWarps) {
    const int row = i / kOutputs;
    const int column = i % kOutputs;
    float sum = 0;
    for (int part = 0; part < kWarps; ++part) sum += s.sums[part][row][column];
    if (first + row < p.rows && output + column < p.shape.rows)
      static_cast<float*>(p.out)[(first + row) * p.shape.rows + output + column] = sum;
  }
}

}  // namespace

void launch_few_outputs_linear(const LinearParams& params, const WeightRef& weight, Queue queue) {
  const dim3 grid(static_cast<unsigned>((params.rows + kRows - 1) / kRows),
                  static_cast<unsigned>((params.shape.rows + kOutputs - 1) / kOutputs));
  launch_kernel(few_outputs_kernel, {grid, 32 * kWarps}, queue, params,
                static_cast<const float*>(weight.data));
}

}  // namespace mm::cuda
