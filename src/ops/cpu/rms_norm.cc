#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/rms_norm.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "ops/cpu/ops.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/vector_inl.h"
#include "ops/cpu/visit.h"

// Once, not per instruction set.
#ifndef MM_OPS_CPU_RMS_NORM
#define MM_OPS_CPU_RMS_NORM
namespace mm::cpu {

struct NormRow {
  const float* x;
  const float* weight;
  int64_t size;
  float eps;
};

}  // namespace mm::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace mm::cpu::HWY_NAMESPACE {

// Four chains hide the latency of the fused multiply-add.
float sum_of_squares(const float* x, int64_t count) {
  const FloatTag d;
  const int64_t lanes = lane_count();
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  auto sum2 = hn::Zero(d);
  auto sum3 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    const auto x0 = load(x + i);
    const auto x1 = load(x + i + lanes);
    const auto x2 = load(x + i + 2 * lanes);
    const auto x3 = load(x + i + 3 * lanes);
    sum0 = hn::MulAdd(x0, x0, sum0);
    sum1 = hn::MulAdd(x1, x1, sum1);
    sum2 = hn::MulAdd(x2, x2, sum2);
    sum3 = hn::MulAdd(x3, x3, sum3);
  }
  for (; i < count; i += lanes) {
    const auto rest = count - i < lanes ? load_some(x + i, count - i) : load(x + i);
    sum0 = hn::MulAdd(rest, rest, sum0);
  }
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3))));
}

FloatVec norm_scale(const NormRow& row) {
  const float mean = sum_of_squares(row.x, row.size) / static_cast<float>(row.size);
  return hn::Set(FloatTag(), 1.0f / std::sqrt(mean + row.eps));
}

template <typename Out>
void norm_row(const NormRow& row, Out* out) {
  const auto scale = norm_scale(row);
  map([=](FloatVec x, FloatVec w) HWY_ATTR { return hn::Mul(hn::Mul(x, scale), w); }, row.size, out,
      row.x, row.weight);
}

template <typename Gate, typename Out>
void gate_row(const NormRow& row, const Gate* gate, Out* out) {
  const auto scale = norm_scale(row);
  map([=](FloatVec x, FloatVec w, FloatVec g)
          HWY_ATTR { return hn::Mul(sigmoid(g), hn::Mul(hn::Mul(x, scale), w)); },
      row.size, out, row.x, row.weight, gate);
}

void gate_one_row(const NormRow& row, const TensorView& gate, const TensorView& out, int64_t t) {
  visit_float(gate, [&](const auto* from) {
    visit_float(out, [&](auto* to) { gate_row(row, from + t * row.size, to + t * row.size); });
  });
}

void norm_one_row(const NormRow& row, const TensorView& out, int64_t t) {
  visit_float(out, [&](auto* to) { norm_row(row, to + t * row.size); });
}

}  // namespace mm::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mm::cpu {

HWY_EXPORT(norm_one_row);
HWY_EXPORT(gate_one_row);

void rms_norm(ThreadPool& pool, const TensorView& x, const TensorView& weight, float eps,
              const TensorView& out) {
  const int64_t size = x.dim(1);
  for_rows(pool, x.dim(0), size, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) HWY_DYNAMIC_DISPATCH(norm_one_row)
    ({x.ptr<float>() + t * size, weight.ptr<float>(), size, eps}, out, t);
  });
}

void gated_norm(ThreadPool& pool, const GatedNorm& inputs, const TensorView& out) {
  const int64_t size = inputs.x.dim(1);
  for_rows(pool, inputs.x.dim(0), size, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) HWY_DYNAMIC_DISPATCH(gate_one_row)
    ({inputs.x.ptr<float>() + t * size, inputs.weight.ptr<float>(), size, inputs.eps}, inputs.gate,
     out, t);
  });
}

}  // namespace mm::cpu
#endif
