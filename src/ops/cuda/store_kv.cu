// One block a row of the step; a warp takes the keys or the values of one kv head. No shared
// memory. Limited by memory, and tiny next to the products around it.
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/ragged.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/store_kv.h"

namespace mm::cuda {
namespace {

constexpr int kWarps = 8;

// Largest magnitude of a row, NaN if there is one: magnitudes order as integers as they do as
// floats, with NaN above all.
template <typename In>
__device__ float largest_magnitude(const In* from, int size) {
  int most = 0;
  for (int c = static_cast<int>(threadIdx.x % 32); c < size; c += 32)
    most = max(most, __float_as_int(fabsf(to_f32(from[c]))));
  return __int_as_float(__reduce_max_sync(kWholeWarp, most));
}

template <typename Code>
struct Largest;  // the code that a row's largest magnitude becomes
template <>
struct Largest<int8_t> {
  static constexpr float value = 127;
};
template <>
struct Largest<__nv_fp8_e4m3> {
  static constexpr float value = 448;
};

// As kv_scale of ops/kv_scale.h.
template <typename Code>
__device__ float scale_for(float largest) {
  const float scale = largest / Largest<Code>::value;
  return scale == 0 ? 1.0F : scale;
}

template <typename In, typename Out>
__global__ void __launch_bounds__(32 * kWarps) store_kv_kernel(StoreKvParams p) {
  let_next_start();
  wait_for_previous();
  const int64_t row = blockIdx.x;
  const int n = sequence_of(p.rows.offsets, p.rows.sequences, row);
  const int64_t position = p.rows.starts[n] + row - p.rows.offsets[n];
  const int64_t block = position / kBlock;
  if (block >= p.kv.blocks)
    return;
  const int64_t page = p.kv.table[n * p.kv.table_stride + block];
  if (page < 0 || page >= p.kv.pages)
    return;
  const int size = p.kv.size;
  for (int i = static_cast<int>(threadIdx.x / 32); i < 2 * p.kv.heads; i += kWarps) {
    const HeadRows& rows = i % 2 == 0 ? p.k : p.v;
    const In* from =
        static_cast<const In*>(rows.data) + row * rows.row_stride + i / 2 * rows.head_stride;
    const int64_t line = (page * 2 * p.kv.heads + i) * kBlock + position % kBlock;
    Out* to = static_cast<Out*>(p.kv.data) + line * size;
    float unit = 1;
    if constexpr (is_code<Out>()) {
      unit = scale_for<Out>(largest_magnitude(from, size));
      if (threadIdx.x % 32 == 0)
        p.kv.scales[line] = unit;
    }
    for (int c = static_cast<int>(threadIdx.x % 32); c < size; c += 32) {
      if constexpr (is_code<Out>()) {
        to[c] = from_f32<Out>(isfinite(unit) ? to_f32(from[c]) / unit : 0.0F);
      } else {
        to[c] = from_f32<Out>(to_f32(from[c]));
      }
    }
  }
}

}  // namespace

void launch_store_kv(const StoreKvParams& params, Queue queue) {
  visit_float(params.k.dtype, [&](auto in) {
    visit_pages(params.kv.dtype, [&](auto out) {
      launch_kernel(store_kv_kernel<decltype(in), decltype(out)>,
                    {static_cast<unsigned>(params.rows.total), 32 * kWarps}, queue, params);
    });
  });
}

}  // namespace mm::cuda
