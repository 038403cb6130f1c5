#include "cache/state_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/check.h"
#include "base/float_types.h"

namespace mm {
namespace {

constexpr StateFormat kFormats[] = {StateFormat::kF32, StateFormat::kBf16, StateFormat::kInt8};
constexpr float kMaxInt8 = 127;

// exp(-slope · R) < 2⁻²⁴, in logarithms so that nothing underflows.
bool is_fast(float slope, int64_t replay_tokens) {
  constexpr double kBits = 24;
  return static_cast<double>(slope) * static_cast<double>(replay_tokens) > kBits * std::log(2.0);
}

// Returns the scale. A row too small for one of normal size is stored as zeros.
float encode_row(std::span<const float> row, int8_t* out) {
  float largest = 0;
  for (const float x : row) {
    if (!std::isfinite(x))
      bad_input("a state holds {}, which int8 cannot store; the model's numbers overflowed", x);
    largest = std::max(largest, std::abs(x));
  }
  float scale = largest / kMaxInt8;
  if (!std::isnormal(scale)) {
    std::fill_n(out, row.size(), int8_t{0});
    return 0;
  }
  if (!std::isfinite(scale * kMaxInt8))  // rounded up at the very end of the range
    scale = std::nextafter(scale, 0.0F);
  for (size_t k = 0; k < row.size(); ++k)
    out[k] = static_cast<int8_t>(std::clamp(std::nearbyint(row[k] / scale), -kMaxInt8, kMaxInt8));
  return scale;
}

}  // namespace

const char* to_string(StateFormat format) {
  switch (format) {
    case StateFormat::kF32:
      return "f32";
    case StateFormat::kBf16:
      return "bf16";
    case StateFormat::kInt8:
      return "int8";
  }
  return "unknown";
}

bool parse_state_format(std::string_view name, StateFormat* format) {
  const auto found = std::find_if(std::begin(kFormats), std::end(kFormats),
                                  [&](StateFormat known) { return name == to_string(known); });
  if (found == std::end(kFormats))
    return false;
  *format = *found;
  return true;
}

StateCodec drop_fast_heads(StateFormat format, int64_t replay_tokens,
                           std::span<const std::vector<float>> slopes) {
  MM_CHECK(replay_tokens >= 0, "{}", replay_tokens);
  StateCodec codec{format, replay_tokens, {}};
  if (replay_tokens == 0)
    return codec;
  for (const std::vector<float>& layer : slopes) {
    std::vector<int32_t>& kept = codec.kept_heads.emplace_back();
    for (size_t head = 0; head < layer.size(); ++head) {
      if (!is_fast(layer[head], replay_tokens))
        kept.push_back(static_cast<int32_t>(head));
    }
  }
  return codec;
}

std::vector<int32_t> stored_heads(const StateCodec& codec, int layer, int heads) {
  if (codec.replay_tokens > 0)
    return codec.kept_heads[static_cast<size_t>(layer)];
  std::vector<int32_t> all(static_cast<size_t>(heads));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

DType dtype_of(StateFormat format) {
  switch (format) {
    case StateFormat::kF32:
      return DType::kF32;
    case StateFormat::kBf16:
      return DType::kBf16;
    case StateFormat::kInt8:
      return DType::kI8;
  }
  return DType::kF32;
}

void encode_head(StateFormat format, std::span<const float> state, std::byte* out,
                 std::span<float> scales) {
  if (format == StateFormat::kF32) {
    std::memcpy(out, state.data(), state.size_bytes());
  } else if (format == StateFormat::kBf16) {
    std::transform(state.begin(), state.end(), reinterpret_cast<BFloat16*>(out), to_bfloat16);
  } else {
    const size_t width = state.size() / scales.size();
    for (size_t v = 0; v < scales.size(); ++v)
      scales[v] =
          encode_row(state.subspan(v * width, width), reinterpret_cast<int8_t*>(out) + v * width);
  }
}

void decode_head(StateFormat format, const std::byte* stored, std::span<const float> scales,
                 std::span<float> state) {
  if (format == StateFormat::kF32) {
    std::memcpy(state.data(), stored, state.size_bytes());
  } else if (format == StateFormat::kBf16) {
    const BFloat16* values = reinterpret_cast<const BFloat16*>(stored);
    for (size_t i = 0; i < state.size(); ++i) state[i] = to_float(values[i]);
  } else {
    const int8_t* values = reinterpret_cast<const int8_t*>(stored);
    const size_t width = state.size() / scales.size();
    for (size_t i = 0; i < state.size(); ++i)
      state[i] = scales[i / width] * static_cast<float>(values[i]);
  }
}

}  // namespace mm
