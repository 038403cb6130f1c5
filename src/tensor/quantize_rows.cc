#include "tensor/quantize_rows.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"

namespace mm {
namespace {

constexpr int kMaxGroup = 128;

/// Rounds to nearest, ties to even, for |x| < 2^22: adding 1.5 · 2^23 leaves no fraction bits.
/// Several times faster than nearbyint, which is a call on the oldest x86-64 machines.
float round_even(float x) {
  constexpr float kShift = 12582912.0f;
  return (x + kShift) - kShift;
}

float largest(std::span<const float> values) {
  float most = 0;
  for (const float x : values) most = std::max(most, std::abs(x));
  return most;
}

/// Rounds to the 16 levels of one scale. Returns the squared error.
float round_group(std::span<const float> group, float scale, int* q) {
  const float inverse = 1.0f / scale;
  float error = 0;
  for (size_t i = 0; i < group.size(); ++i) {
    const float level = round_even(std::clamp(group[i] * inverse, -8.0f, 7.0f));
    q[i] = static_cast<int>(level);
    const float rest = group[i] - scale * level;
    error += rest * rest;
  }
  return error;
}

struct GroupCode {
  BFloat16 scale{};
  std::array<int, kMaxGroup> q{};
  float error = -1;  ///< of `q`; negative: nothing tried yet
};

/// Keeps a scale if it beats the best so far. Scales are stored in bf16, so that is what counts.
void try_scale(std::span<const float> group, float scale, GroupCode* best) {
  const BFloat16 stored = to_bfloat16(scale);
  const float value = to_float(stored);
  if (!(value > 0) || !std::isfinite(1.0f / value))
    return;
  GroupCode code;
  code.scale = stored;
  code.error = round_group(group, value, code.q.data());
  if (best->error < 0 || code.error < best->error)
    *best = code;
}

/// The scale that fits the levels chosen so far best: Σ w q / Σ q².
float refined_scale(std::span<const float> group, const GroupCode& code) {
  float product = 0;
  float square = 0;
  for (size_t i = 0; i < group.size(); ++i) {
    const float q = static_cast<float>(code.q[i]);
    product += group[i] * q;
    square += q * q;
  }
  return square > 0 ? product / square : 0;
}

GroupCode encode_group(std::span<const float> group) {
  // Levels that the largest value may fall on: below 7 spreads further than needed, above 8 clips
  // it, which pays when it stands alone.
  constexpr float kLevels[] = {7.0f, 7.25f, 7.5f, 7.75f, 8.0f, 8.5f, 9.0f, 10.0f};
  const float most = largest(group);
  GroupCode best;
  if (most > 0) {
    for (const float level : kLevels) try_scale(group, most / level, &best);
    try_scale(group, refined_scale(group, best), &best);
  }
  if (best.error < 0) {
    best.scale = to_bfloat16(1);
    best.q.fill(0);
  }
  return best;
}

template <typename T>
void widen(const TensorView& source, float* out) {
  const T* in = source.ptr<T>();
  const int64_t count = source.numel();
  for (int64_t i = 0; i < count; ++i) out[i] = to_float(in[i]);
}

}  // namespace

float encode_int8_row(std::span<const float> row, int8_t* q) {
  const float scale = largest(row) / 127;
  if (!(scale > 0)) {
    std::fill_n(q, row.size(), int8_t{0});
    return 1;
  }
  for (size_t i = 0; i < row.size(); ++i)
    q[i] = static_cast<int8_t>(round_even(std::clamp(row[i] / scale, -127.0f, 127.0f)));
  return scale;
}

float encode_fp8_row(std::span<const float> row, Float8E4M3* q) {
  constexpr float kLargest = 448;
  const float scale = largest(row) / kLargest;
  if (!(scale > 0)) {
    std::fill_n(q, row.size(), Float8E4M3{0});
    return 1;
  }
  for (size_t i = 0; i < row.size(); ++i) q[i] = to_float8_e4m3(row[i] / scale);
  return scale;
}

void encode_int4_row(std::span<const float> row, int group_size, int32_t* words, BFloat16* scales) {
  const size_t size = static_cast<size_t>(group_size);
  MM_CHECK(size % 8 == 0 && size <= kMaxGroup && row.size() % size == 0, "{} in groups of {}",
           row.size(), group_size);
  for (size_t g = 0; g < row.size() / size; ++g) {
    const GroupCode code = encode_group(row.subspan(g * size, size));
    scales[g] = code.scale;
    for (size_t w = 0; w < size / 8; ++w) {
      uint32_t word = 0;
      for (size_t i = 0; i < 8; ++i)
        word |= static_cast<uint32_t>(code.q[w * 8 + i] + 8) << (4 * i);
      words[g * size / 8 + w] = static_cast<int32_t>(word);
    }
  }
}

void to_floats(const TensorView& source, float* out) {
  MM_CHECK(source.is_contiguous(), "{}", to_string(source));
  switch (source.dtype) {
    case DType::kF32:
      return widen<float>(source, out);
    case DType::kBf16:
      return widen<BFloat16>(source, out);
    case DType::kF16:
      return widen<Float16>(source, out);
    default:
      MM_CHECK(false, "{} is no float type", to_string(source));
  }
}

}  // namespace mm
