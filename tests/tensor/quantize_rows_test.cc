#include "tensor/quantize_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"

namespace mm {
namespace {

std::vector<float> random_row(size_t size, uint64_t seed) {
  std::vector<float> row(size);
  for (size_t i = 0; i < size; ++i)
    row[i] = static_cast<float>(philox_uniform(seed, 0, i) + philox_uniform(seed, 1, i) - 1);
  return row;
}

int code_at(const std::vector<int32_t>& words, size_t i) {
  return static_cast<int>(static_cast<uint32_t>(words[i / 8]) >> (4 * (i % 8)) & 15u) - 8;
}

TEST(EncodeInt8Test, ScaleIsTheLargestOver127) {
  const std::vector<float> row = {0.5f, -2.54f, 1.27f, 0.01f, 0.03f};
  int8_t q[5];
  const float scale = encode_int8_row(row, q);
  EXPECT_FLOAT_EQ(scale, 0.02f);
  EXPECT_EQ(q[0], 25);
  EXPECT_EQ(q[1], -127);
  EXPECT_EQ(q[3], 0);  // 0.5 is a tie: to even
  EXPECT_EQ(q[4], 2);  // 1.5 as well
}

TEST(EncodeInt8Test, ErrorIsAtMostHalfAStep) {
  const std::vector<float> row = random_row(1000, 3);
  std::vector<int8_t> q(row.size());
  const float scale = encode_int8_row(row, q.data());
  for (size_t i = 0; i < row.size(); ++i)
    EXPECT_LE(std::abs(row[i] - scale * static_cast<float>(q[i])), scale * 0.50001f);
}

TEST(EncodeInt8Test, ZerosAndTheSmallestNumbers) {
  int8_t q[3] = {9, 9, 9};
  EXPECT_EQ(encode_int8_row(std::vector<float>{0, 0, -0.0f}, q), 1.0f);
  EXPECT_EQ(q[0] | q[1] | q[2], 0);
  const float scale = encode_int8_row(std::vector<float>{1e-45f, -1e-45f, 0}, q);
  EXPECT_TRUE(std::isfinite(scale) && scale > 0);
  EXPECT_LE(std::abs(q[0]), 127);
}

TEST(EncodeFp8Test, ScaleIsTheLargestOver448) {
  const std::vector<float> row = {1, -4.48f, 0.042f, 0.0105f, 0};
  Float8E4M3 q[5];
  const float scale = encode_fp8_row(row, q);
  EXPECT_FLOAT_EQ(scale, 0.01f);
  EXPECT_EQ(to_float(q[0]), 96);  // 100 is a tie: to even
  EXPECT_EQ(to_float(q[1]), -448);
  EXPECT_EQ(to_float(q[2]), 4);  // of 4 and 4.5
  EXPECT_EQ(to_float(q[3]), 1);
  EXPECT_EQ(q[4].bits, 0);
}

TEST(EncodeFp8Test, ErrorIsAtMostHalfAStep) {
  const std::vector<float> row = random_row(1000, 3);
  std::vector<Float8E4M3> q(row.size());
  const float scale = encode_fp8_row(row, q.data());
  for (size_t i = 0; i < row.size(); ++i)
    EXPECT_LE(std::abs(row[i] - scale * to_float(q[i])),
              1.00001f * std::max(0x1p-4f * std::abs(row[i]), 0x1p-10f * scale));
}

TEST(EncodeFp8Test, ZerosAndTheSmallestNumbers) {
  Float8E4M3 q[3] = {{9}, {9}, {9}};
  EXPECT_EQ(encode_fp8_row(std::vector<float>{0, 0, -0.0f}, q), 1.0f);
  EXPECT_EQ(q[0].bits | q[1].bits | q[2].bits, 0);
  // A scale that underflows leaves nothing to divide by.
  EXPECT_EQ(encode_fp8_row(std::vector<float>{1e-45f, -1e-45f, 0}, q), 1.0f);
  EXPECT_EQ(q[0].bits | q[1].bits | q[2].bits, 0);
}

TEST(EncodeInt4Test, ExactLevelsComeBackExactly) {
  std::vector<float> row(32);
  for (size_t i = 0; i < row.size(); ++i)
    row[i] = 0.25f * static_cast<float>(static_cast<int>(i % 16) - 8);
  std::vector<int32_t> words(4);
  BFloat16 scale{};
  encode_int4_row(row, 32, words.data(), &scale);
  EXPECT_EQ(to_float(scale), 0.25f);
  for (size_t i = 0; i < row.size(); ++i)
    EXPECT_EQ(code_at(words, i), static_cast<int>(i % 16) - 8);
  // Element 0 in the lowest bits, stored plus 8.
  EXPECT_EQ(static_cast<uint32_t>(words[0]), 0x76543210u);
}

TEST(EncodeInt4Test, BeatsThePlainScale) {
  for (const int group : {32, 64, 128}) {
    const std::vector<float> row = random_row(512, static_cast<uint64_t>(group));
    std::vector<int32_t> words(row.size() / 8);
    std::vector<BFloat16> scales(row.size() / static_cast<size_t>(group));
    encode_int4_row(row, group, words.data(), scales.data());
    double error = 0;
    double plain = 0;
    for (size_t g = 0; g < scales.size(); ++g) {
      const size_t begin = g * static_cast<size_t>(group);
      const size_t end = begin + static_cast<size_t>(group);
      float most = 0;
      for (size_t i = begin; i < end; ++i) most = std::max(most, std::abs(row[i]));
      const float base = to_float(to_bfloat16(most / 7));
      for (size_t i = begin; i < end; ++i) {
        const float found = to_float(scales[g]) * static_cast<float>(code_at(words, i));
        const float simple = base * std::clamp(std::nearbyint(row[i] / base), -8.0f, 7.0f);
        error += (row[i] - found) * (row[i] - found);
        plain += (row[i] - simple) * (row[i] - simple);
      }
    }
    EXPECT_LT(error, plain) << group;
    EXPECT_GT(error, 0.5 * plain) << group;
  }
}

TEST(EncodeInt4Test, ZerosAndTheSmallestNumbers) {
  std::vector<int32_t> words(4);
  BFloat16 scale{};
  encode_int4_row(std::vector<float>(32, 0.0f), 32, words.data(), &scale);
  EXPECT_EQ(to_float(scale), 1.0f);
  for (const int32_t word : words) EXPECT_EQ(static_cast<uint32_t>(word), 0x88888888u);
  encode_int4_row(std::vector<float>(32, 1e-45f), 32, words.data(), &scale);
  EXPECT_GT(to_float(scale), 0.0f);
  encode_int4_row(std::vector<float>(32, 3e38f), 32, words.data(), &scale);
  EXPECT_NEAR(to_float(scale) * static_cast<float>(code_at(words, 5)) / 3e38f, 1, 0.01);
}

TEST(ToFloatsTest, EveryFloatType) {
  Tensor half(DType::kF16, {2});
  half.ptr<Float16>()[1] = to_float16(-1.5f);
  float out[2];
  to_floats(half, out);
  EXPECT_EQ(out[1], -1.5f);
  EXPECT_ANY_THROW(to_floats(Tensor(DType::kI32, {2}), out));
}

}  // namespace
}  // namespace mm
