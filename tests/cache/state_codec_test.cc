#include "cache/state_codec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/rng.h"

namespace mm {
namespace {

std::vector<float> random_values(size_t count, float scale) {
  std::vector<float> values;
  for (size_t i = 0; i < count; ++i)
    values.push_back(scale * static_cast<float>(2 * philox_uniform(1, 2, i) - 1));
  return values;
}

std::vector<float> round_trip(StateFormat format, const std::vector<float>& state, size_t rows) {
  std::vector<std::byte> stored(state.size() * sizeof(float));
  std::vector<float> scales(rows);
  std::vector<float> result(state.size(), NAN);
  encode_head(format, state, stored.data(), scales);
  decode_head(format, stored.data(), scales, result);
  return result;
}

TEST(StateCodecTest, NamesRoundTrip) {
  StateFormat format{};
  for (const StateFormat known : {StateFormat::kF32, StateFormat::kBf16, StateFormat::kInt8}) {
    ASSERT_TRUE(parse_state_format(to_string(known), &format));
    EXPECT_EQ(format, known);
  }
  EXPECT_FALSE(parse_state_format("f16", &format));
}

TEST(StateCodecTest, F32IsExact) {
  std::vector<float> state = random_values(64, 100);
  state[3] = -0.0F;
  state[4] = std::numeric_limits<float>::denorm_min();
  EXPECT_EQ(round_trip(StateFormat::kF32, state, 8), state);
}

TEST(StateCodecTest, Bf16IsWithinHalfAUnit) {
  const std::vector<float> state = random_values(256, 1e6F);
  const std::vector<float> found = round_trip(StateFormat::kBf16, state, 16);
  for (size_t i = 0; i < state.size(); ++i)
    EXPECT_LE(std::abs(found[i] - state[i]), std::abs(state[i]) * 0x1p-8F);
}

TEST(StateCodecTest, Int8IsWithinHalfAStepOfItsRow) {
  std::vector<float> state = random_values(256, 1);
  for (size_t i = 0; i < 16; ++i) state[i] *= 1e-30F;  // rows do not share a scale
  for (size_t i = 16; i < 32; ++i) state[i] = 0;
  const std::vector<float> found = round_trip(StateFormat::kInt8, state, 16);
  for (size_t row = 0; row < 16; ++row) {
    float largest = 0;
    for (size_t k = 0; k < 16; ++k) largest = std::max(largest, std::abs(state[16 * row + k]));
    for (size_t k = 0; k < 16; ++k)
      EXPECT_LE(std::abs(found[16 * row + k] - state[16 * row + k]), largest * 1.0001F / 254);
  }
}

TEST(StateCodecTest, Int8StoresRowsTooSmallForAScaleAsZeros) {
  const std::vector<float> state(16, std::numeric_limits<float>::min());
  EXPECT_EQ(round_trip(StateFormat::kInt8, state, 4), std::vector<float>(16, 0.0F));
}

TEST(StateCodecTest, Int8KeepsTheLargestNumber) {
  const float largest = std::numeric_limits<float>::max();
  const std::vector<float> state = {largest, -largest, 0, largest / 2};
  for (const float x : round_trip(StateFormat::kInt8, state, 2)) EXPECT_TRUE(std::isfinite(x));
}

TEST(StateCodecTest, Int8RefusesWhatIsNotFinite) {
  for (const float bad : {INFINITY, -INFINITY, NAN}) {
    std::vector<float> state(16, 1.0F);
    state[7] = bad;
    EXPECT_THROW(round_trip(StateFormat::kInt8, state, 4), Error);
  }
}

TEST(StateCodecTest, DropsHeadsThatForgetWithinTheReplay) {
  // exp(-slope · 64) against 2⁻²⁴: the border is at slope 24 · ln 2 / 64 = 0.25993.
  const std::vector<std::vector<float>> slopes = {{0.2599F, 0.26F, 0, 1}, {}};
  const StateCodec codec = drop_fast_heads(StateFormat::kBf16, 64, slopes);
  EXPECT_EQ(codec.kept_heads, (std::vector<std::vector<int32_t>>{{0, 2}, {}}));
  EXPECT_EQ(stored_heads(codec, 0, 4), (std::vector<int32_t>{0, 2}));
  const StateCodec all = drop_fast_heads(StateFormat::kBf16, 0, slopes);
  EXPECT_TRUE(all.kept_heads.empty());
  EXPECT_EQ(stored_heads(all, 0, 3), (std::vector<int32_t>{0, 1, 2}));
}

}  // namespace
}  // namespace mm
