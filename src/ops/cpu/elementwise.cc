#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/elementwise.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "ops/cpu/ops.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/vector_inl.h"
#include "ops/cpu/visit.h"

// Once, not per instruction set.
#ifndef MM_OPS_CPU_ELEMENTWISE
#define MM_OPS_CPU_ELEMENTWISE
namespace mm::cpu {

struct AddRange {
  const float* a;
  const float* b;
  float* out;
  int64_t count;
};

struct Operands {
  TensorView gate;
  TensorView x;
  TensorView out;
};

}  // namespace mm::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace mm::cpu::HWY_NAMESPACE {

void cast_elements(const TensorView& x, int64_t begin, int64_t end, const TensorView& out) {
  visit_float(x, [&](const auto* in) {
    visit_float(out, [&](auto* to) { convert_row(in + begin, end - begin, to + begin); });
  });
}

void add_elements(const AddRange& range, ScalePair scale) {
  const auto alpha = hn::Set(FloatTag(), scale.alpha);
  const auto beta = hn::Set(FloatTag(), scale.beta);
  map([=](FloatVec a, FloatVec b) HWY_ATTR { return hn::MulAdd(alpha, a, hn::Mul(beta, b)); },
      range.count, range.out, range.a, range.b);
}

template <typename T>
void silu_range(T* x, int64_t count) {
  map([](FloatVec v) HWY_ATTR { return hn::Mul(v, sigmoid(v)); }, count, x, x);
}

void silu_elements(const TensorView& x, int64_t begin, int64_t end) {
  visit_float(x, [&](auto* in) { silu_range(in + begin, end - begin); });
}

void silu_floats(float* x, int64_t count) {
  silu_range(x, count);
}

template <typename Out>
void silu_mul_range(const float* gate, const float* up, int64_t count, Out* out) {
  map([](FloatVec g, FloatVec u) HWY_ATTR { return hn::Mul(hn::Mul(g, sigmoid(g)), u); }, count,
      out, gate, up);
}

void silu_mul_elements(const Operands& operands, int64_t begin, int64_t end) {
  const float* gate = operands.gate.ptr<float>() + begin;
  const float* up = operands.x.ptr<float>() + begin;
  visit_float(operands.out, [&](auto* out) { silu_mul_range(gate, up, end - begin, out + begin); });
}

template <typename Gate, typename Out>
void sigmoid_mul_range(const Gate* gate, const float* x, int64_t count, Out* out) {
  map([](FloatVec g, FloatVec v) HWY_ATTR { return hn::Mul(sigmoid(g), v); }, count, out, gate, x);
}

void sigmoid_mul_elements(const Operands& operands, int64_t begin, int64_t end) {
  const float* x = operands.x.ptr<float>() + begin;
  visit_float(operands.gate, [&](auto* gate) {
    visit_float(operands.out,
                [&](auto* out) { sigmoid_mul_range(gate + begin, x, end - begin, out + begin); });
  });
}

}  // namespace mm::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mm::cpu {

HWY_EXPORT(cast_elements);
HWY_EXPORT(add_elements);
HWY_EXPORT(silu_elements);
HWY_EXPORT(silu_floats);
HWY_EXPORT(silu_mul_elements);
HWY_EXPORT(sigmoid_mul_elements);

void cast(ThreadPool& pool, const TensorView& x, const TensorView& out) {
  for_elements(pool, x.numel(), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(cast_elements)(x, begin, end, out);
  });
}

void add_scaled(ThreadPool& pool, const TensorView& a, const TensorView& b, ScalePair scale,
                const TensorView& out) {
  for_elements(pool, a.numel(), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(add_elements)
    ({a.ptr<float>() + begin, b.ptr<float>() + begin, out.ptr<float>() + begin, end - begin},
     scale);
  });
}

void silu(ThreadPool& pool, const TensorView& x) {
  for_elements(pool, x.numel(), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(silu_elements)(x, begin, end);
  });
}

void silu_block(uint8_t* x, int64_t rows, int64_t cols, int64_t stride) {
  for (int64_t row = 0; row < rows; ++row)
    HWY_DYNAMIC_DISPATCH(silu_floats)(reinterpret_cast<float*>(x + row * stride), cols);
}

void silu_mul_block(const GatedBlock& block) {
  const Operands operands{block.gate, block.up, block.out};
  for (int64_t row = block.row_begin; row < block.row_end; ++row) {
    const int64_t begin = row * block.out.dim(1);
    HWY_DYNAMIC_DISPATCH(silu_mul_elements)
    (operands, begin + block.col_begin, begin + block.col_end);
  }
}

void silu_mul(ThreadPool& pool, const TensorView& gate, const TensorView& up,
              const TensorView& out) {
  for_elements(pool, gate.numel(), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(silu_mul_elements)({gate, up, out}, begin, end);
  });
}

void sigmoid_mul(ThreadPool& pool, const TensorView& gate, const TensorView& x,
                 const TensorView& out) {
  for_elements(pool, gate.numel(), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(sigmoid_mul_elements)({gate, x, out}, begin, end);
  });
}

}  // namespace mm::cpu
#endif
