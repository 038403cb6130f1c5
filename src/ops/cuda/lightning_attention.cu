// The plain form: one block a (head, sequence), row after row: append to the tail, scores against
// the tail (a thread a key), the state and the values (a thread a channel of v), and the fold when
// a block fills. Shared memory: q and the scores. Limited by latency: the path of f32 compute and
// of head sizes without a kernel of their own.
#include "ops/cuda/lightning_attention.h"
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/prim/lightning_rows.cuh"

namespace mm::cuda {
namespace {

template <typename Tail>
struct Head {
  float slope;
  float* state;  // [K(v), K(k)]
  Tail* tail_k;  // [64, K]
  Tail* tail_v;
};

template <typename Tail>
__device__ void read_row(const Head<Tail>& head, const float* q, float* scores, int size,
                         int filled, float* out) {
  for (int j = static_cast<int>(threadIdx.x); j < filled; j += static_cast<int>(blockDim.x)) {
    float score = 0;
    for (int c = 0; c < size; ++c) score = fmaf(q[c], to_f32(head.tail_k[j * size + c]), score);
    scores[j] = score * expf(-head.slope * static_cast<float>(filled - 1 - j));
  }
  __syncthreads();
  const float decay = expf(-head.slope * static_cast<float>(filled));
  for (int v = static_cast<int>(threadIdx.x); v < size; v += static_cast<int>(blockDim.x)) {
    float inter = 0;
    for (int c = 0; c < size; ++c) inter = fmaf(head.state[v * size + c], q[c], inter);
    float intra = 0;
    for (int j = 0; j < filled; ++j)
      intra = fmaf(scores[j], to_f32(head.tail_v[j * size + v]), intra);
    out[v] = fmaf(decay, inter, intra);
  }
  __syncthreads();
}

template <typename Tail>
__device__ void fold(const Head<Tail>& head, int size) {
  const float whole = expf(-head.slope * kBlock);
  for (int i = static_cast<int>(threadIdx.x); i < size * size; i += static_cast<int>(blockDim.x)) {
    const int v = i / size;
    const int c = i % size;
    float sum = 0;
    for (int j = 0; j < kBlock; ++j) {
      const float weight = expf(-head.slope * static_cast<float>(kBlock - 1 - j));
      sum =
          fmaf(weight * to_f32(head.tail_v[j * size + v]), to_f32(head.tail_k[j * size + c]), sum);
    }
    head.state[i] = fmaf(whole, head.state[i], sum);
  }
  __syncthreads();
}

template <typename In>
__device__ float load_head(const HeadRows& rows, int64_t row, int head, int c) {
  return to_f32(static_cast<const In*>(
      rows.data)[row * rows.row_stride + static_cast<int64_t>(head) * rows.head_stride + c]);
}

template <typename In, typename Tail, typename Out>
__global__ void lightning_plain_kernel(LightningParams p, LightningRows which) {
  extern __shared__ float shared[];
  let_next_start();
  wait_for_previous();
  float* q = shared;
  float* scores = q + p.size;
  float* row_out = scores + kBlock;
  const int h = static_cast<int>(blockIdx.x);
  const LightningSpan span = lightning_span(p, static_cast<int>(blockIdx.y));
  const int64_t place = span.slot * p.heads + h;
  const Head<Tail> head{p.slopes[h], p.states + place * p.size * p.size,
                        static_cast<Tail*>(p.tail_k) + place * kBlock * p.size,
                        static_cast<Tail*>(p.tail_v) + place * kBlock * p.size};
  int64_t count = span.count;
  if (which == LightningRows::kToBoundary)
    count = min(count, rows_to_boundary(span.start));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = span.first + i;
    const int at = static_cast<int>((span.start + i) % kBlock);
    for (int c = static_cast<int>(threadIdx.x); c < p.size; c += static_cast<int>(blockDim.x)) {
      q[c] = load_head<In>(p.q, row, h, c);
      head.tail_k[at * p.size + c] = from_f32<Tail>(load_head<In>(p.k, row, h, c));
      head.tail_v[at * p.size + c] = from_f32<Tail>(load_head<In>(p.v, row, h, c));
    }
    __syncthreads();
    read_row(head, q, scores, p.size, at + 1, row_out);
    Out* out = static_cast<Out*>(p.out) + (row * p.heads + h) * p.size;
    for (int c = static_cast<int>(threadIdx.x); c < p.size; c += static_cast<int>(blockDim.x))
      out[c] = from_f32<Out>(row_out[c]);
    if (at + 1 == kBlock)
      fold(head, p.size);
  }
}

}  // namespace

void launch_lightning_plain(const LightningParams& params, LightningRows which, Queue queue) {
  const dim3 grid(static_cast<unsigned>(params.heads),
                  static_cast<unsigned>(params.rows.sequences));
  const size_t shared = sizeof(float) * (2 * static_cast<size_t>(params.size) + kBlock);
  visit_float(params.q.dtype, [&](auto in) {
    visit_float(params.tail_type, [&](auto tail) {
      visit_float(params.out_type, [&](auto out) {
        launch_kernel(lightning_plain_kernel<decltype(in), decltype(tail), decltype(out)>,
                      {grid, 128, shared}, queue, params, which);
      });
    });
  });
}

}  // namespace mm::cuda
