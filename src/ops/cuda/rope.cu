// One block a token. Angles, sines and cosines are computed once a token, in double: at a million
// positions a float angle is off by a tenth of a turn. The powers need no memory and are made while
// the kernel before ends. rotary/2 pairs of shared memory. Limited by
// memory for many heads, by the double units for few.
#include "ops/cuda/prim/dependent_launch.cuh"
#include "ops/cuda/prim/float.cuh"
#include "ops/cuda/rope.h"

namespace mm::cuda {
namespace {

union Turn {
  double speed;  // radians a position
  float2 unit;   // cosine and sine at the row's position
};

template <typename T>
__global__ void rope_kernel(RopeParams p) {
  extern __shared__ Turn turns[];  // [rotary / 2]
  const int half = p.rotary / 2;
  let_next_start();
  for (int i = static_cast<int>(threadIdx.x); i < half; i += static_cast<int>(blockDim.x))
    turns[i].speed = pow(p.theta, -static_cast<double>(i) / half);
  wait_for_previous();
  const double position = p.positions[blockIdx.x];
  for (int i = static_cast<int>(threadIdx.x); i < half; i += static_cast<int>(blockDim.x)) {
    double sine = 0;
    double cosine = 0;
    sincos(position * turns[i].speed, &sine, &cosine);  // this thread's own
    turns[i].unit = {static_cast<float>(cosine), static_cast<float>(sine)};
  }
  __syncthreads();
  T* row = static_cast<T*>(p.x) + blockIdx.x * p.row_stride;
  const int pairs = p.heads * half;
  for (int i = static_cast<int>(threadIdx.x); i < pairs; i += static_cast<int>(blockDim.x)) {
    T* first = row + (i / half) * p.head_stride + i % half;
    const float2 turn = turns[i % half].unit;
    const float a = to_f32(first[0]);
    const float b = to_f32(first[half]);
    first[0] = from_f32<T>(fmaf(a, turn.x, -b * turn.y));
    first[half] = from_f32<T>(fmaf(b, turn.x, a * turn.y));
  }
}

}  // namespace

void launch_rope(const RopeParams& params, Queue queue) {
  const size_t shared = sizeof(double) * static_cast<size_t>(params.rotary / 2);
  visit_float(params.x_type, [&](auto x) {
    launch_kernel(rope_kernel<decltype(x)>, {static_cast<unsigned>(params.tokens), 128, shared},
                  queue, params);
  });
}

}  // namespace mm::cuda
