// One block a token, its threads along the row. No shared memory. Limited by memory, and tiny.
#include "ops/cuda/embed.h"
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/weight.cuh"

namespace mm::cuda {
namespace {

template <WeightKind Kind>
__global__ void embed_kernel(EmbedParams p) {
  let_next_start();
  wait_for_previous();
  const int64_t id = p.ids[blockIdx.x];
  const bool known = 0 <= id && id < p.shape.rows;
  float* out = p.out + static_cast<int64_t>(blockIdx.x) * p.shape.cols;
  for (int64_t d = threadIdx.x; d < p.shape.cols; d += blockDim.x)
    out[d] = known ? decode<Kind>(p.table, p.shape, id, d) : 0.0F;
}

}  // namespace

void launch_embed(const EmbedParams& params, Queue queue) {
  visit_kind(params.shape.kind, [&](auto kind) {
    // In order: it begins a step, and before that stand copies on another stream.
    launch_kernel(embed_kernel<kind.value>, {static_cast<unsigned>(params.tokens), 256},
                  queue.in_order(), params);
  });
}

}  // namespace mm::cuda
