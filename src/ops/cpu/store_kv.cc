#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/store_kv.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "ops/cpu/ops.h"
#include "ops/cpu/vector_inl.h"
#include "ops/cpu/visit.h"
#include "ops/ragged.h"

// Once, not per instruction set.
#ifndef MM_OPS_CPU_STORE_KV
#define MM_OPS_CPU_STORE_KV
namespace mm::cpu {

// Where one row's keys or values go: the first kv head's place in a page.
struct StoreTarget {
  int64_t row;
  int64_t offset;
};

}  // namespace mm::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace mm::cpu::HWY_NAMESPACE {

void store_row(const TensorView& from, const TensorView& pages, const StoreTarget& target) {
  visit_float(from, [&](const auto* in) {
    visit_float(pages, [&](auto* out) {
      for (int64_t g = 0; g < from.dim(1); ++g)
        convert_row(in + target.row * from.stride(0) + g * from.stride(1), from.dim(2),
                    out + target.offset + g * pages.stride(1));
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
  for (int64_t n = 0; n < num_sequences(rows); ++n) {
    const SequenceRows sequence = sequence_rows(rows, n, k.dim(0));
    for (int64_t i = 0; i < sequence.count; ++i) {
      const int64_t position = sequence.start + i;
      const int64_t offset =
          page_of(kv, n, position) * pages.stride(0) + position % kBlockTokens * pages.stride(3);
      const int64_t row = sequence.first + i;
      HWY_DYNAMIC_DISPATCH(store_row)(k, pages, {row, offset});
      HWY_DYNAMIC_DISPATCH(store_row)(v, pages, {row, offset + pages.stride(2)});
    }
  }
}

}  // namespace mm::cpu
#endif
