/// Element types of tensors.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/float_types.h"

namespace mm {

enum class DType : uint8_t { kF64, kF32, kBf16, kF16, kF8E4M3, kI64, kI32, kI16, kI8, kU8, kBool };

/// Bytes of one element.
int64_t size_of(DType dtype);
/// Whether elements are 8-bit codes that mean something only times a scale kept beside them.
constexpr bool is_scaled(DType dtype) {
  return dtype == DType::kI8 || dtype == DType::kF8E4M3;
}
/// The safetensors name: "F32", "BF16", …
const char* to_string(DType dtype);
/// The type with this safetensors name. Returns false if there is none.
bool parse_dtype(std::string_view name, DType* dtype);

template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::kBf16;
};
template <>
struct DTypeOf<Float16> {
  static constexpr DType value = DType::kF16;
};
template <>
struct DTypeOf<Float8E4M3> {
  static constexpr DType value = DType::kF8E4M3;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::kI64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::kI8;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::kU8;
};

}  // namespace mm
