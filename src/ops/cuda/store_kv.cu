// One block a row of the step, its threads along heads and channels. No shared memory. Limited by
// memory, and tiny next to the products around it.
#include "ops/cuda/check.h"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/ragged.cuh"
#include "ops/cuda/store_kv.h"

namespace mm::cuda {
namespace {

template <typename In, typename Out>
__device__ void copy_row(const HeadRows& from, int64_t row, Out* to, int heads, int size) {
  const In* source = static_cast<const In*>(from.data) + row * from.row_stride;
  for (int i = static_cast<int>(threadIdx.x); i < heads * size; i += static_cast<int>(blockDim.x)) {
    const int head = i / size;
    const int channel = i % size;
    to[static_cast<int64_t>(head) * 2 * kBlock * size + channel] =
        from_f32<Out>(to_f32(source[head * from.head_stride + channel]));
  }
}

template <typename In, typename Out>
__global__ void store_kv_kernel(StoreKvParams p) {
  const int64_t row = blockIdx.x;
  const int n = sequence_of(p.rows.offsets, p.rows.sequences, row);
  const int64_t position = p.rows.starts[n] + row - p.rows.offsets[n];
  const int64_t block = position / kBlock;
  if (block >= p.kv.blocks)
    return;
  const int64_t page = p.kv.table[n * p.kv.table_stride + block];
  if (page < 0 || page >= p.kv.pages)
    return;
  const int64_t page_size = static_cast<int64_t>(p.kv.heads) * 2 * kBlock * p.kv.size;
  Out* keys = static_cast<Out*>(p.kv.data) + page * page_size + position % kBlock * p.kv.size;
  copy_row<In>(p.k, row, keys, p.kv.heads, p.kv.size);
  copy_row<In>(p.v, row, keys + kBlock * p.kv.size, p.kv.heads, p.kv.size);
}

}  // namespace

void launch_store_kv(const StoreKvParams& params, cudaStream_t stream) {
  visit_float(params.k.dtype, [&](auto in) {
    visit_float(params.kv.dtype, [&](auto out) {
      store_kv_kernel<decltype(in), decltype(out)>
          <<<static_cast<unsigned>(params.rows.total), 256, 0, stream>>>(params);
    });
  });
  MM_CUDA(cudaGetLastError());
}

}  // namespace mm::cuda
