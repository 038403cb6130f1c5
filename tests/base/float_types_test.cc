#include "base/float_types.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace mm {
namespace {

TEST(FloatTypesTest, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Float16 half{static_cast<uint16_t>(bits)};
    const float value = to_float(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(to_float(to_float16(value))));
    } else {
      EXPECT_EQ(to_float16(value).bits, half.bits) << bits;
    }
  }
}

TEST(FloatTypesTest, EveryBfloatSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const BFloat16 x{static_cast<uint16_t>(bits)};
    if (!std::isnan(to_float(x))) {
      EXPECT_EQ(to_bfloat16(to_float(x)).bits, x.bits) << bits;
    }
  }
  EXPECT_TRUE(std::isnan(to_float(to_bfloat16(std::numeric_limits<float>::quiet_NaN()))));
}

TEST(FloatTypesTest, RoundsTiesToEven) {
  EXPECT_EQ(to_bfloat16(1.0f + 0x1p-8f).bits, 0x3f80);
  EXPECT_EQ(to_bfloat16(1.0f + 3 * 0x1p-8f).bits, 0x3f82);
  EXPECT_EQ(to_float16(1.0f + 0x1p-11f).bits, 0x3c00);
  EXPECT_EQ(to_float16(1.0f + 3 * 0x1p-11f).bits, 0x3c02);
  EXPECT_EQ(to_float16(65519.0f).bits, 0x7bff);
  EXPECT_EQ(to_float16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(to_float16(0x1p-25f).bits, 0);  // a tie between 0 and the least subnormal
  EXPECT_EQ(to_float16(0x1.8p-25f).bits, 1);
}

/// The value of a code by the definition: (-1)^s · 2^max(e, 1)-7 · (e > 0 ? 1 : 0).mmm.
double e4m3_value(uint32_t code) {
  const uint32_t exponent = code >> 3 & 15u;
  const uint32_t mantissa = code & 7u;
  if (exponent == 15 && mantissa == 7)
    return std::numeric_limits<double>::quiet_NaN();
  const double significand = (exponent > 0 ? 1 : 0) + mantissa / 8.0;
  const double value = std::ldexp(significand, static_cast<int>(std::max(exponent, 1u)) - 7);
  return (code & 0x80u) != 0 ? -value : value;
}

/// The code whose value is nearest, of two the even one: by search.
uint32_t nearest_e4m3(double x) {
  uint32_t best = 0;
  for (uint32_t code = 1; code < 0x7f; ++code) {
    const double closer =
        std::abs(std::abs(x) - e4m3_value(best)) - std::abs(std::abs(x) - e4m3_value(code));
    if (closer > 0 || (closer == 0 && code % 2 == 0))
      best = code;
  }
  return best | (std::signbit(x) ? 0x80u : 0u);
}

TEST(FloatTypesTest, EveryE4m3HasItsValueAndSurvivesTheRoundTrip) {
  for (uint32_t code = 0; code < 0x100; ++code) {
    const float value = to_float(Float8E4M3{static_cast<uint8_t>(code)});
    if ((code & 0x7fu) == 0x7f) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(to_float(to_float8_e4m3(value))));
      continue;
    }
    EXPECT_EQ(value, e4m3_value(code)) << code;
    EXPECT_EQ(std::signbit(value), (code & 0x80u) != 0);
    EXPECT_EQ(to_float8_e4m3(value).bits, code);
  }
}

TEST(FloatTypesTest, NarrowingToE4m3TakesTheNearestCode) {
  for (uint32_t code = 0; code < 0x7e; ++code) {
    const float low = to_float(Float8E4M3{static_cast<uint8_t>(code)});
    const float high = to_float(Float8E4M3{static_cast<uint8_t>(code + 1)});
    const float middle = (low + high) / 2;
    for (const float x : {std::nextafter(low, high), std::nextafter(middle, low), middle,
                          std::nextafter(middle, high), std::nextafter(high, low)}) {
      EXPECT_EQ(to_float8_e4m3(x).bits, nearest_e4m3(x)) << x;
      EXPECT_EQ(to_float8_e4m3(-x).bits, nearest_e4m3(-x)) << -x;
    }
  }
}

TEST(FloatTypesTest, NarrowingToE4m3Saturates) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float x : {448.0f, 449.0f, 464.0f, 480.0f, 1e30f, kInfinity}) {
    EXPECT_EQ(to_float8_e4m3(x).bits, 0x7e) << x;
    EXPECT_EQ(to_float8_e4m3(-x).bits, 0xfe) << x;
  }
  EXPECT_EQ(to_float8_e4m3(1e-30f).bits, 0);
  EXPECT_EQ(to_float8_e4m3(-0.0f).bits, 0x80);
  EXPECT_TRUE(std::isnan(to_float(to_float8_e4m3(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace mm
