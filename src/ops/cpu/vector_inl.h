/// Vector helpers shared by the CPU ops; compiled once per instruction set.
///
/// Every function maps lanes independently, and tails run through the same code on a padded copy:
/// what an element becomes does not depend on where in its row it stands.

#include <cstring>
#include <type_traits>

#include "base/float_types.h"
#include "hwy/highway.h"

// Loops over arrays of vectors must unroll whole, or the vectors live in memory.
#ifndef MM_UNROLL
#ifdef __clang__
#define MM_UNROLL _Pragma("unroll")
#else
#define MM_UNROLL _Pragma("GCC unroll 16")
#endif
#endif

// Toggled rather than #pragma once: Highway includes this file again for every target.
#if defined(MM_OPS_CPU_VECTOR_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MM_OPS_CPU_VECTOR_INL_H
#undef MM_OPS_CPU_VECTOR_INL_H
#else
#define MM_OPS_CPU_VECTOR_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace mm::cpu::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using FloatTag = hn::ScalableTag<float>;
using FloatVec = hn::Vec<FloatTag>;

inline int64_t lane_count() {
  return static_cast<int64_t>(hn::Lanes(FloatTag()));
}
inline int64_t round_up_to_lanes(int64_t count) {
  return (count + lane_count() - 1) / lane_count() * lane_count();
}

inline FloatVec load(const float* from) {
  return hn::LoadU(FloatTag(), from);
}
inline FloatVec load(const BFloat16* from) {
  const FloatTag d;
  const hn::Rebind<uint16_t, FloatTag> half;
  const hn::Rebind<uint32_t, FloatTag> word;
  const auto bits = hn::LoadU(half, reinterpret_cast<const uint16_t*>(from));
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(word, bits)));
}

// Codes as they stand, without their scale.
inline FloatVec load(const int8_t* from) {
  const FloatTag d;
  const hn::Rebind<int8_t, FloatTag> byte;
  const hn::RebindToSigned<FloatTag> integer;
  return hn::ConvertTo(d, hn::PromoteTo(integer, hn::LoadU(byte, from)));
}
// Exponent and mantissa, moved to a float's place, are the value times 2⁻¹²⁰, subnormals included.
inline FloatVec load(const Float8E4M3* from) {
  const FloatTag d;
  const hn::Rebind<uint8_t, FloatTag> byte;
  const hn::RebindToSigned<FloatTag> integer;
  const auto codes =
      hn::PromoteTo(integer, hn::LoadU(byte, reinterpret_cast<const uint8_t*>(from)));
  // The arithmetic shift copies the sign over the bits that the narrower exponent lacks.
  const auto spread = hn::ShiftRight<4>(hn::ShiftLeft<24>(codes));
  const auto bits = hn::And(spread, hn::Set(integer, static_cast<int32_t>(0x87f00000u)));
  const auto value = hn::Mul(hn::BitCast(d, bits), hn::Set(d, 0x1p120f));
  const auto nan = hn::Set(integer, 0x7f);
  const auto is_nan = hn::RebindMask(d, hn::Eq(hn::And(codes, nan), nan));
  return hn::IfThenElse(is_nan, hn::NaN(d), value);
}

inline void store(FloatVec value, float* to) {
  hn::StoreU(value, FloatTag(), to);
}
// Rounds to nearest, ties to even; NaN stays NaN, as to_bfloat16 does.
inline void store(FloatVec value, BFloat16* to) {
  const hn::Rebind<uint32_t, FloatTag> word;
  const hn::Rebind<int32_t, FloatTag> integer;
  const hn::Rebind<uint16_t, FloatTag> half;
  const auto bits = hn::BitCast(word, value);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(word, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(word, 0x7fffu)));
  const auto quiet = hn::Or(bits, hn::Set(word, 0x400000u));
  const auto is_nan = hn::RebindMask(word, hn::IsNaN(value));
  const auto upper = hn::ShiftRight<16>(hn::IfThenElse(is_nan, quiet, rounded));
  hn::StoreU(hn::DemoteTo(half, hn::BitCast(integer, upper)), half,
             reinterpret_cast<uint16_t*>(to));
}

// Rounds to nearest, ties to even, within ±127. NaN has no code.
inline void store(FloatVec value, int8_t* to) {
  const FloatTag d;
  const hn::Rebind<int8_t, FloatTag> byte;
  const auto clamped = hn::Max(hn::Set(d, -127.0f), hn::Min(hn::Set(d, 127.0f), value));
  hn::StoreU(hn::DemoteTo(byte, hn::NearestInt(clamped)), byte, to);
}
// Rounds to nearest, ties to even, within ±448; NaN stays NaN, as to_float8_e4m3 does.
inline void store(FloatVec value, Float8E4M3* to) {
  const FloatTag d;
  const hn::Rebind<uint8_t, FloatTag> byte;
  const hn::RebindToSigned<FloatTag> integer;
  const auto magnitude = hn::BitCast(integer, hn::Abs(value));
  const auto odd = hn::And(hn::ShiftRight<20>(magnitude), hn::Set(integer, 1));
  const auto rounded = hn::Add(magnitude, hn::Add(odd, hn::Set(integer, 0x7ffff - (120 << 23))));
  const auto normal = hn::ShiftRight<20>(rounded);
  // Adding 2¹⁴ leaves the multiple of 2⁻⁹ in the low bits.
  const auto shift = hn::Set(d, 0x1p14f);
  const auto subnormal =
      hn::Sub(hn::BitCast(integer, hn::Add(hn::Abs(value), shift)), hn::BitCast(integer, shift));
  const auto is_small = hn::Lt(magnitude, hn::Set(integer, 0x3c800000));  // 2⁻⁶
  const auto nearest = hn::IfThenElse(is_small, subnormal, normal);
  const auto is_large = hn::Gt(magnitude, hn::Set(integer, 0x43e00000));  // 448
  const auto limited = hn::IfThenElse(is_large, hn::Set(integer, 0x7e), nearest);
  const auto is_nan = hn::RebindMask(integer, hn::IsNaN(value));
  const auto code = hn::IfThenElse(is_nan, hn::Set(integer, 0x7f), limited);
  const auto sign =
      hn::And(hn::ShiftRight<24>(hn::BitCast(integer, value)), hn::Set(integer, 0x80));
  hn::StoreU(hn::DemoteTo(byte, hn::Or(code, sign)), byte, reinterpret_cast<uint8_t*>(to));
}

// The first `count` < lanes elements, zeros behind them.
template <typename T>
inline FloatVec load_some(const T* from, int64_t count) {
  alignas(64) T padded[hn::MaxLanes(FloatTag())] = {};
  std::memcpy(padded, from, static_cast<size_t>(count) * sizeof(T));
  return load(padded);
}
template <typename T>
inline void store_some(FloatVec value, T* to, int64_t count) {
  alignas(64) T padded[hn::MaxLanes(FloatTag())];
  store(value, padded);
  std::memcpy(to, padded, static_cast<size_t>(count) * sizeof(T));
}

// out[i] = function(in[i]...) for i in [0, count): `function` takes and returns vectors.
template <typename Out, typename Function, typename... In>
inline void map(Function&& function, int64_t count, Out* out, const In*... in) {
  const int64_t lanes = lane_count();
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(function(load(in + i)...), out + i);
  if (i < count)
    store_some(function(load_some(in + i, count - i)...), out + i, count - i);
}

// Converts a row; one type to itself is a copy.
template <typename In, typename Out>
inline void convert_row(const In* from, int64_t count, Out* to) {
  if constexpr (std::is_same_v<In, Out>) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(In));
  } else {
    map([](FloatVec x) HWY_ATTR { return x; }, count, to, from);
  }
}

// Converts a row, and pads it with zeros to whole vectors.
template <typename T>
inline void widen_row(const T* from, int64_t count, float* to) {
  const int64_t lanes = lane_count();
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) store(load(from + i), to + i);
  if (i < count)
    store(load_some(from + i, count - i), to + i);
}

// e^x to about an ulp, 0 below the smallest denormal, infinity above the largest float, NaN for
// NaN. x = n ln 2 + r, |r| ≤ ln(2)/2; e^r by 1 + r + r² p(r), p of degree 4 through Chebyshev nodes
// (relative error 1.1e-8); 2^n in two factors, so that both ends are reached.
inline FloatVec exponential(FloatVec x) {
  const FloatTag d;
  const hn::RebindToSigned<FloatTag> integer;
  // Min and Max with x second keep NaN.
  x = hn::Max(hn::Set(d, -105.0f), hn::Min(hn::Set(d, 105.0f), x));
  // Adding 1.5·2²³ leaves the nearest integer in the low bits.
  const auto magic = hn::Set(d, 12582912.0f);
  const auto shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), magic);
  const auto n = hn::Sub(shifted, magic);
  auto r = hn::NegMulAdd(n, hn::Set(d, 0.693145751953125f), x);
  r = hn::NegMulAdd(n, hn::Set(d, 1.42860677e-6f), r);
  auto p = hn::MulAdd(hn::Set(d, 1.3926181709e-3f), r, hn::Set(d, 8.3631780e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1666556149721e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.16666576266f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.5f));
  p = hn::Add(hn::MulAdd(hn::Mul(r, r), p, r), hn::Set(d, 1.0f));
  const auto power = hn::Sub(hn::BitCast(integer, shifted), hn::BitCast(integer, magic));
  const auto half = hn::ShiftRight<1>(power);
  const auto bias = hn::Set(integer, 127);
  const auto low = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const auto high = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(power, half), bias)));
  return hn::Mul(hn::Mul(p, low), high);
}

inline FloatVec sigmoid(FloatVec x) {
  const auto one = hn::Set(FloatTag(), 1.0f);
  return hn::Div(one, hn::Add(one, exponential(hn::Neg(x))));
}

inline float exponential(float x) {
  return hn::GetLane(exponential(hn::Set(FloatTag(), x)));
}

}  // namespace mm::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
