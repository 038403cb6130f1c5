// Angles, sines and cosines are exact in double (a position of 4·10⁶ leaves an f32 angle wrong by
// a quarter of a radian) and shared by the heads of a row; the rotation itself is f32.
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/rope.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "ops/cpu/ops.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/vector_inl.h"
#include "ops/cpu/visit.h"

// Once, not per instruction set.
#ifndef MM_OPS_CPU_ROPE
#define MM_OPS_CPU_ROPE
namespace mm::cpu {

struct Rotation {
  const float* cosine;
  const float* sine;
  int64_t half;
};

}  // namespace mm::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace mm::cpu::HWY_NAMESPACE {

template <typename T>
void rotate_head(const Rotation& rotation, T* x) {
  const auto rotate = [&](int64_t i, auto&& get, auto&& put) HWY_ATTR {
    const auto a = get(x + i);
    const auto b = get(x + i + rotation.half);
    const auto c = get(rotation.cosine + i);
    const auto s = get(rotation.sine + i);
    put(hn::NegMulAdd(b, s, hn::Mul(a, c)), x + i);
    put(hn::MulAdd(a, s, hn::Mul(b, c)), x + i + rotation.half);
  };
  const int64_t lanes = lane_count();
  int64_t i = 0;
  for (; i + lanes <= rotation.half; i += lanes)
    rotate(
        i, [](const auto* from) HWY_ATTR { return load(from); },
        [](FloatVec v, T* to) HWY_ATTR { store(v, to); });
  const int64_t rest = rotation.half - i;
  if (rest > 0)
    rotate(
        i, [=](const auto* from) HWY_ATTR { return load_some(from, rest); },
        [=](FloatVec v, T* to) HWY_ATTR { store_some(v, to, rest); });
}

void rotate_row(const TensorView& x, int64_t t, const Rotation& rotation) {
  visit_float(x, [&](auto* data) {
    for (int64_t h = 0; h < x.dim(1); ++h)
      rotate_head(rotation, data + t * x.stride(0) + h * x.stride(1));
  });
}

}  // namespace mm::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mm::cpu {
namespace {

HWY_EXPORT(rotate_row);

void rotate_rows(const RopeArgs& args, const double* frequencies, float* table, int64_t begin,
                 int64_t end) {
  const int64_t half = args.rotary_dim / 2;
  float* sines = table + half;
  for (int64_t t = begin; t < end; ++t) {
    const double position = args.positions.ptr<int32_t>()[t];
    for (int64_t i = 0; i < half; ++i) {
      table[i] = static_cast<float>(std::cos(position * frequencies[i]));
      sines[i] = static_cast<float>(std::sin(position * frequencies[i]));
    }
    HWY_DYNAMIC_DISPATCH(rotate_row)(args.x, t, {table, sines, half});
  }
}

}  // namespace

void rope(ThreadPool& pool, Scratch& scratch, const RopeArgs& args) {
  const int64_t half = args.rotary_dim / 2;
  double* frequencies = reinterpret_cast<double*>(scratch.shared_floats(2 * half));
  for (int64_t i = 0; i < half; ++i)
    frequencies[i] = std::pow(args.theta, -static_cast<double>(i) / static_cast<double>(half));
  const int64_t rows = args.x.dim(0);
  const auto work = [&](int64_t begin, int64_t end, int thread) {
    rotate_rows(args, frequencies, scratch.floats(thread, 2 * half), begin, end);
  };
  // Sines and cosines cost as much as some tens of elements each.
  if (rows * half * 32 <= kInlineElements) {
    work(0, rows, 0);
  } else {
    pool.parallel_for(rows, 1, work);
  }
}

}  // namespace mm::cpu
#endif
