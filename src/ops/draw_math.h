/// The arithmetic of ops/token_draw.h that host and devices must do alike, to the last bit. Nothing
/// here may be contracted into fused multiply-adds: the files that include it are compiled so.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

namespace mm {

/// No id: the row has no finite logit that may win.
constexpr int32_t kNoToken = -1;
/// Not drawn: a device had no room for all candidates; the host can.
constexpr int32_t kTooManyCandidates = -2;

/// Of the largest value: below it exp is not computed, it would be subnormal.
constexpr float kLeastExponent = -87.0F;

/// exp(x) for x ≤ 0, rounded to a multiple of 2^-32, before that with a relative error of a few
/// 1e-7, the same bits on every machine (a libm's expf is not), in a form that vectorises: x = n·ln
/// 2 + r, Taylor in r, |r| ≤ ln 2 / 2.
constexpr float draw_weight(float x) {
  constexpr float kLog2E = 1.44269504F;
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRounder = 12582912.0F;  // 1.5 · 2^23: adding it rounds to an integer
  const float clamped = x > kLeastExponent ? x : kLeastExponent;
  const float shifted = clamped * kLog2E + kRounder;
  const float n = shifted - kRounder;
  const float r = (clamped - n * kLn2High) - n * kLn2Low;
  float sum = 1.0F / 5040;
  sum = sum * r + 1.0F / 720;
  sum = sum * r + 1.0F / 120;
  sum = sum * r + 1.0F / 24;
  sum = sum * r + 1.0F / 6;
  sum = sum * r + 0.5F;
  sum = sum * r + 1.0F;
  sum = sum * r + 1.0F;
  const int32_t exponent = static_cast<int32_t>(n) + 127;
  const auto power = std::bit_cast<float>(static_cast<uint32_t>(exponent) << 23);
  const float weight = x > kLeastExponent ? sum * power : 0.0F;
  // From 2^-8 on a float is a multiple of 2^-32 anyway.
  constexpr float kUnits = 0x1.8p-9F;  // adding it rounds numbers below 2^-9 to such multiples
  return weight < 0x1p-9F ? (weight + kUnits) - kUnits : weight;
}

/// Parts of a histogram over the logits.
constexpr int kDrawBins = 1024;

/// What draw_bin() multiplies by.
constexpr float draw_bin_scale(float inverse_temperature) {
  return static_cast<float>(kDrawBins) * inverse_temperature / -kLeastExponent;
}
/// The part of a logit that lies `below` under the largest one.
constexpr int draw_bin(float below, float scale) {
  const float bin = below * scale;
  return bin < static_cast<float>(kDrawBins - 1) ? static_cast<int>(bin) : kDrawBins - 1;
}

// What biases and penalties make of a logit. A row stays free of NaN and +inf whatever they are.
constexpr float finite_above(float logit) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  return logit < kLargest ? logit : kLargest;
}
constexpr float biased_logit(float logit, float bias) {
  return finite_above(logit + bias);
}
constexpr float repeated_logit(float logit, float penalty) {
  return finite_above(logit > 0 ? logit / penalty : logit * penalty);
}
constexpr float drawn_logit(float logit, int32_t times, float presence, float frequency) {
  return finite_above(logit - presence - frequency * static_cast<float>(times));
}
/// Logits that are not finite never win.
constexpr float finite_logit(float logit) {
  // x - x is NaN unless x is finite.
  return logit - logit == 0 ? logit : -std::numeric_limits<float>::infinity();
}

}  // namespace mm
