#include <cmath>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/routing.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "ops/cpu/ops.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/vector_inl.h"

HWY_BEFORE_NAMESPACE();
namespace mm::cpu::HWY_NAMESPACE {

// out = weight · x, or out += weight · x.
void accumulate_row(const float* x, float weight, bool first, float* out, int64_t size) {
  const auto w = hn::Set(FloatTag(), weight);
  if (first) {
    map([=](FloatVec v) HWY_ATTR { return hn::Mul(w, v); }, size, out, x);
  } else {
    map([=](FloatVec v, FloatVec sum) HWY_ATTR { return hn::MulAdd(w, v, sum); }, size, out, x,
        static_cast<const float*>(out));
  }
}

}  // namespace mm::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mm::cpu {
namespace {

HWY_EXPORT(accumulate_row);

// NaN counts as the smallest, so that the ids are always valid and distinct.
float rank_of(float logit) {
  return std::isnan(logit) ? -HUGE_VALF : logit;
}

void choose(const float* logits, int64_t experts, int32_t* ids, int64_t choices) {
  const auto taken = [&](int64_t a, int64_t e) {
    for (int64_t before = 0; before < a; ++before) {
      if (ids[before] == e)
        return true;
    }
    return false;
  };
  for (int64_t a = 0; a < choices; ++a) {
    int64_t best = -1;
    for (int64_t e = 0; e < experts; ++e) {
      if ((best < 0 || rank_of(logits[e]) > rank_of(logits[best])) && !taken(a, e))
        best = e;
    }
    ids[a] = static_cast<int32_t>(best);
  }
}

void weigh(const float* logits, const int32_t* ids, int64_t choices, float* weights) {
  float largest = logits[ids[0]];
  for (int64_t a = 1; a < choices; ++a) largest = std::max(largest, logits[ids[a]]);
  double total = 0;
  for (int64_t a = 0; a < choices; ++a) {
    weights[a] = static_cast<float>(std::exp(double{logits[ids[a]]} - largest));
    total += double{weights[a]};
  }
  for (int64_t a = 0; a < choices; ++a) weights[a] = static_cast<float>(double{weights[a]} / total);
}

void check_range(const TensorView& values, int64_t limit, const char* what) {
  const int32_t* value = values.ptr<int32_t>();
  const int64_t count = values.numel();
  for (int64_t i = 0; i < count; ++i)
    MM_CHECK(0 <= value[i] && value[i] < limit, "{} {} of {}", what, value[i], limit);
}

}  // namespace

void route_topk(ThreadPool& pool, const TensorView& logits, const TensorView& ids) {
  const int64_t experts = logits.dim(1);
  const int64_t choices = ids.dim(1);
  for_rows(pool, logits.dim(0), experts * choices, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t)
      choose(logits.ptr<float>() + t * experts, experts, ids.ptr<int32_t>() + t * choices, choices);
  });
}

void route_weights(const TensorView& logits, const TensorView& ids, const TensorView& weights) {
  const int64_t choices = ids.dim(1);
  check_range(ids, logits.dim(1), "expert");
  for (int64_t t = 0; t < ids.dim(0); ++t)
    weigh(logits.ptr<float>() + t * logits.dim(1), ids.ptr<int32_t>() + t * choices, choices,
          weights.ptr<float>() + t * choices);
}

void group_by_expert(const TensorView& ids, int num_experts, const Routes& routes) {
  check_range(ids, num_experts, "expert");
  const int32_t* id = ids.ptr<int32_t>();
  int32_t* offsets = routes.offsets.ptr<int32_t>();
  int32_t* order = routes.order.ptr<int32_t>();
  int32_t* positions = routes.positions.ptr<int32_t>();
  const int64_t choices = ids.dim(1);
  const int64_t count = ids.numel();
  // A counting sort that keeps its cursors in the offsets themselves: after placing, offsets[e] is
  // the end of expert e, so one shift makes them the beginnings again.
  std::fill(offsets, offsets + num_experts + 1, 0);
  for (int64_t i = 0; i < count; ++i) ++offsets[id[i] + 1];
  for (int e = 0; e < num_experts; ++e) offsets[e + 1] += offsets[e];
  for (int64_t i = 0; i < count; ++i) {
    const int32_t row = offsets[id[i]]++;
    order[row] = static_cast<int32_t>(i / choices);
    positions[i] = row;
  }
  for (int e = num_experts; e > 0; --e) offsets[e] = offsets[e - 1];
  offsets[0] = 0;
}

void gather_rows(ThreadPool& pool, const TensorView& x, const TensorView& index,
                 const TensorView& out) {
  check_range(index, x.dim(0), "row");
  const int64_t bytes = x.dim(1) * size_of(x.dtype);
  const char* from = static_cast<const char*>(x.data);
  char* to = static_cast<char*>(out.data);
  for_rows(pool, index.dim(0), x.dim(1), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      std::memcpy(to + r * bytes, from + index.ptr<int32_t>()[r] * bytes,
                  static_cast<size_t>(bytes));
  });
}

void combine_rows(ThreadPool& pool, const TensorView& x, const TensorView& positions,
                  const TensorView& weights, const TensorView& out) {
  check_range(positions, x.dim(0), "row");
  const int64_t size = x.dim(1);
  const int64_t choices = positions.dim(1);
  for_rows(pool, out.dim(0), size * choices, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * choices; i < end * choices; ++i) HWY_DYNAMIC_DISPATCH(accumulate_row)
    (x.ptr<float>() + positions.ptr<int32_t>()[i] * size, weights.ptr<float>()[i], i % choices == 0,
     out.ptr<float>() + i / choices * size, size);
  });
}

}  // namespace mm::cpu
#endif
