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
