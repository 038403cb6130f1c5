#include <algorithm>
#include <cmath>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/store_kv.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "ops/cpu/ops.h"
#include "ops/cpu/vector_inl.h"
#include "ops/cpu/visit.h"
#include "ops/kv_scale.h"
#include "ops/ragged.h"

// Once, not per instruction set.
#ifndef MM_OPS_CPU_STORE_KV
#define MM_OPS_CPU_STORE_KV
namespace mm::cpu {

// Where one row's keys or values go: the first kv head's places in pages and scales.
struct StoreTarget {
  int64_t row;
  int64_t codes;
  int64_t scale;
};

}  // namespace mm::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace mm::cpu::HWY_NAMESPACE {

// NaN if there is one. Magnitudes order as integers as they do as floats, with NaN above all.
template <typename T>
float largest_magnitude(const T* row, int64_t count) {
  const hn::RebindToSigned<FloatTag> integer;
  const int64_t lanes = lane_count();
  auto most = hn::Zero(integer);
  int64_t c = 0;
  for (; c + lanes <= count; c += lanes)
    most = hn::Max(most, hn::BitCast(integer, hn::Abs(load(row + c))));
  if (c < count)
    most = hn::Max(most, hn::BitCast(integer, hn::Abs(load_some(row + c, count - c))));
  return hn::GetLane(hn::BitCast(FloatTag(), hn::MaxOfLanes(integer, most)));
}

// Writes a row as codes and returns its scale.
template <typename In, typename Code>
float encode_row(const In* from, int64_t count, Code* to) {
  const float scale = kv_scale(largest_magnitude(from, count), DTypeOf<Code>::value);
  if (std::isfinite(scale)) {
    const auto unit = hn::Set(FloatTag(), scale);
    map([=](FloatVec x) HWY_ATTR { return hn::Div(x, unit); }, count, to, from);
  } else {
    std::fill_n(to, count, Code{});
  }
  return scale;
}

void store_row(const TensorView& from, const PagedKv& kv, const StoreTarget& target) {
  const auto store_head = [&](int64_t g, const auto* in, auto* out) {
    using Element = std::remove_pointer_t<decltype(out)>;
    if constexpr (is_scaled(DTypeOf<Element>::value)) {
      float* scales = kv.scales.ptr<float>() + target.scale;
      scales[g * kv.scales.stride(1)] = encode_row(in, from.dim(2), out);
    } else {
      convert_row(in, from.dim(2), out);
    }
  };
  visit_float(from, [&](const auto* in) {
    visit_pages(kv.pages, [&](auto* out) {
      for (int64_t g = 0; g < from.dim(1); ++g)
        store_head(g, in + target.row * from.stride(0) + g * from.stride(1),
                   out + target.codes + g * kv.pages.stride(1));
    });
  });
}

}  // namespace mm::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mm::cpu {

HWY_EXPORT(store_row);

void store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv, const Ragged& rows) {
  const TensorView& pages = kv.pages;
  const TensorView& scales = kv.scales;
  for (int64_t n = 0; n < num_sequences(rows); ++n) {
    const SequenceRows sequence = sequence_rows(rows, n, k.dim(0));
    for (int64_t i = 0; i < sequence.count; ++i) {
      const int64_t position = sequence.start + i;
      const int64_t page = page_of(kv, n, position);
      const int64_t place = position % kBlockTokens;
      const int64_t codes = page * pages.stride(0) + place * pages.stride(3);
      const int64_t scale = page * scales.stride(0) + place;
      const int64_t row = sequence.first + i;
      HWY_DYNAMIC_DISPATCH(store_row)(k, kv, {row, codes, scale});
      HWY_DYNAMIC_DISPATCH(store_row)
      (v, kv, {row, codes + pages.stride(2), scale + scales.stride(2)});
    }
  }
}

}  // namespace mm::cpu
#endif
