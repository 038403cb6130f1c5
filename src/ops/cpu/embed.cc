#include <cstring>

#include "base/check.h"
#include "base/float_types.h"
#include "ops/cpu/linear.h"

namespace mm::cpu {
namespace {

template <typename T>
T read(const void* base, int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(base) + index * int64_t{sizeof(T)}, sizeof(T));
  return value;
}

template <typename T>
void widen(const void* row, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = to_float(read<T>(row, i));
}

float scale_at(const TensorView& scales, int64_t row, int64_t group) {
  const int64_t index = row * scales.stride(0) + group;
  if (scales.dtype == DType::kBf16)
    return to_float(read<BFloat16>(scales.data, index));
  MM_CHECK(scales.dtype == DType::kF32, "scales are {}", to_string(scales));
  return read<float>(scales.data, index);
}

void embed_int8(const Weight& table, const void* row, int64_t id, float* out) {
  const float scale = scale_at(table.scales, id, 0);
  for (int64_t i = 0; i < table.cols; ++i)
    out[i] = scale * static_cast<float>(read<int8_t>(row, i));
}

void embed_fp8(const Weight& table, const void* row, int64_t id, float* out) {
  const float scale = scale_at(table.scales, id, 0);
  for (int64_t i = 0; i < table.cols; ++i) out[i] = scale * to_float(read<Float8E4M3>(row, i));
}

void embed_int4(const Weight& table, const void* row, int64_t id, float* out) {
  for (int64_t i = 0; i < table.cols; ++i) {
    const uint32_t word = read<uint32_t>(row, i / 8);
    const int value = static_cast<int>((word >> (4 * (i % 8))) & 15U) - 8;
    out[i] = scale_at(table.scales, id, i / table.group_size) * static_cast<float>(value);
  }
}

void embed_row(const Weight& table, int64_t id, float* out) {
  const void* row = static_cast<const char*>(table.data.data) +
                    id * table.data.stride(0) * size_of(table.data.dtype);
  if (table.format == QuantFormat::kInt8Channel)
    return embed_int8(table, row, id, out);
  if (table.format == QuantFormat::kFp8Channel)
    return embed_fp8(table, row, id, out);
  if (table.format == QuantFormat::kInt4Group)
    return embed_int4(table, row, id, out);
  switch (table.data.dtype) {
    case DType::kBf16:
      return widen<BFloat16>(row, table.cols, out);
    case DType::kF16:
      return widen<Float16>(row, table.cols, out);
    default:
      MM_CHECK(table.data.dtype == DType::kF32, "no embedding in {}", to_string(table.data));
      return widen<float>(row, table.cols, out);
  }
}

}  // namespace

void embed(ThreadPool& pool, const TensorView& ids, const Weight& table, const TensorView& out) {
  const int64_t count = ids.dim(0);
  MM_CHECK(out.dim(0) == count && out.dim(1) == table.cols, "{} ids, table [{}, {}], out {}", count,
           table.rows, table.cols, to_string(out));
  const auto* id = ids.ptr<int32_t>();
  float* rows = out.ptr<float>();
  // A few rows take less than the barrier.
  pool.parallel_for(count, 8, [&](int64_t begin, int64_t end, int) {
    for (int64_t t = begin; t < end; ++t) {
      MM_CHECK(0 <= id[t] && id[t] < table.rows, "id {} of {}", id[t], table.rows);
      embed_row(table, id[t], rows + t * out.stride(0));
    }
  });
}

}  // namespace mm::cpu
