/// bfloat16, IEEE half and 8-bit floats as storage types: bits plus exact widening and correctly
/// rounded narrowing.
#pragma once

#include <bit>
#include <cstdint>

namespace mm {

/// The upper half of an IEEE float.
struct BFloat16 {
  uint16_t bits;
};

/// IEEE 754 binary16.
struct Float16 {
  uint16_t bits;
};

/// E4M3 of the OCP 8-bit floating point specification: sign, 4 bits of exponent with bias 7, 3 of
/// mantissa; no infinities, NaN is 0x7f and 0xff, the largest number is 448, the least 2⁻⁹.
struct Float8E4M3 {
  uint8_t bits;
};

inline float to_float(float x) {
  return x;
}
inline float to_float(BFloat16 x) {
  return std::bit_cast<float>(uint32_t{x.bits} << 16);
}
float to_float(Float16 x);
float to_float(Float8E4M3 x);

/// Rounds to nearest, ties to even; NaN stays NaN.
inline BFloat16 to_bfloat16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u)
    return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}
Float16 to_float16(float x);
/// Rounds to nearest, ties to even; what is larger than 448, infinity included, becomes 448 with
/// its sign; NaN stays NaN.
Float8E4M3 to_float8_e4m3(float x);

/// Narrowing to any storage type, for templates.
template <typename T>
T from_float(float x);
template <>
inline float from_float<float>(float x) {
  return x;
}
template <>
inline BFloat16 from_float<BFloat16>(float x) {
  return to_bfloat16(x);
}
template <>
inline Float16 from_float<Float16>(float x) {
  return to_float16(x);
}
template <>
inline Float8E4M3 from_float<Float8E4M3>(float x) {
  return to_float8_e4m3(x);
}

}  // namespace mm
