// One block a token. Angles, sines and cosines are computed once a token, in double: at a million
// positions a float angle is off by a tenth of a turn. rotary/2 pairs of shared memory. Limited by
// memory for many heads, by the double units for few.
#include "ops/cuda/check.h"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/rope.h"

namespace mm::cuda {
namespace {

template <typename T>
__global__ void rope_kernel(RopeParams p) {
  extern __shared__ float2 turns[];  // [rotary / 2] cosine, sine
  const int half = p.rotary / 2;
  const double position = p.positions[blockIdx.x];
  for (int i = static_cast<int>(threadIdx.x); i < half; i += static_cast<int>(blockDim.x)) {
    double sine = 0;
    double cosine = 0;
    sincos(position * pow(p.theta, -static_cast<double>(i) / half), &sine, &cosine);
    turns[i] = {static_cast<float>(cosine), static_cast<float>(sine)};
  }
  __syncthreads();
  T* row = static_cast<T*>(p.x) + blockIdx.x * p.row_stride;
  const int pairs = p.heads * half;
  for (int i = static_cast<int>(threadIdx.x); i < pairs; i += static_cast<int>(blockDim.x)) {
    T* first = row + (i / half) * p.head_stride + i % half;
    const float2 turn = turns[i % half];
    const float a = to_f32(first[0]);
    const float b = to_f32(first[half]);
    first[0] = from_f32<T>(fmaf(a, turn.x, -b * turn.y));
    first[half] = from_f32<T>(fmaf(b, turn.x, a * turn.y));
  }
}

}  // namespace

void launch_rope(const RopeParams& params, cudaStream_t stream) {
  const size_t shared = sizeof(float2) * static_cast<size_t>(params.rotary / 2);
  visit_float(params.x_type, [&](auto x) {
    rope_kernel<decltype(x)><<<static_cast<unsigned>(params.tokens), 128, shared, stream>>>(params);
  });
  MM_CUDA(cudaGetLastError());
}

}  // namespace mm::cuda
