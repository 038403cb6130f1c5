#include "model/zero_rows.h"

#include <algorithm>

#include "base/check.h"

namespace mm {
namespace {

// Elements as raw bits; `mask` drops what does not count (the sign of a float zero).
template <typename Bits>
bool all_equal(const void* data, int64_t count, Bits mask, Bits zero) {
  const Bits* bits = static_cast<const Bits*>(data);
  return std::all_of(bits, bits + count,
                     [=](Bits x) { return static_cast<Bits>(x & mask) == zero; });
}

bool is_zero_row(const TensorView& row, QuantFormat format) {
  switch (row.dtype) {
    case DType::kF32:
      return all_equal<uint32_t>(row.data, row.numel(), 0x7fffffffu, 0);
    case DType::kBf16:
    case DType::kF16:
      return all_equal<uint16_t>(row.data, row.numel(), 0x7fff, 0);
    case DType::kI8:
      return all_equal<uint8_t>(row.data, row.numel(), 0xff, 0);
    case DType::kI32:
      MM_CHECK(format == QuantFormat::kInt4Group);
      return all_equal<uint32_t>(row.data, row.numel(), 0xffffffffu, 0x88888888u);
    default:
      MM_CHECK(false, "embedding of {}", to_string(row.dtype));
  }
  return false;
}

}  // namespace

std::vector<int32_t> find_zero_rows(const Weight& embedding) {
  std::vector<int32_t> rows;
  for (int64_t id = 0; id < embedding.rows; ++id) {
    if (is_zero_row(embedding.data.at(id), embedding.format))
      rows.push_back(static_cast<int32_t>(id));
  }
  return rows;
}

}  // namespace mm
