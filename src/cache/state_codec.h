/// How the recurrent states of a context are stored: their number format, and which heads.
///
/// A state is 4·H·K² bytes per layer, for one checkpoint more than the keys and values of hundreds
/// of tokens. Two savings: fewer bits per number, and leaving out heads that forget everything
/// within R tokens, which a reader then replays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace mm {

enum class StateFormat : uint8_t {
  kF32,   ///< exact
  kBf16,  ///< rounded to nearest even
  kInt8,  ///< x = scale[v] · q, q in [-127, 127]; one f32 scale per row v of a head's [v][k]
};

/// "f32", "bf16", "int8".
const char* to_string(StateFormat format);
/// The format with this name. Returns false if there is none.
bool parse_state_format(std::string_view name, StateFormat* format);

struct StateCodec {
  StateFormat format = StateFormat::kF32;
  /// R: a checkpoint may be used only with at least R tokens replayed after it. 0: all heads are
  /// stored, nothing needs to be replayed.
  int64_t replay_tokens = 0;
  /// R > 0: the heads that are stored, ascending, one list per layer of the model (softmax layers:
  /// empty). R = 0: empty.
  std::vector<std::vector<int32_t>> kept_heads;

  friend bool operator==(const StateCodec&, const StateCodec&) = default;
};

/// A codec that leaves out every head with exp(-slope · R) < 2⁻²⁴: after R tokens such a state is
/// below the rounding of an f32 sum. `slopes`: one list per layer of the model, [H] for lightning
/// layers, empty for softmax layers. MM_CHECKs R ≥ 0.
StateCodec drop_fast_heads(StateFormat format, int64_t replay_tokens,
                           std::span<const std::vector<float>> slopes);

/// The heads of a layer that the codec stores, out of `heads`, ascending.
std::vector<int32_t> stored_heads(const StateCodec& codec, int layer, int heads);

/// Element type of stored states.
DType dtype_of(StateFormat format);

/// Encodes one head, f32 [K, K], to K·K elements of dtype_of(format) at `out`, and to K scales if
/// the format is kInt8 (`scales` is unused otherwise). Throws kBadInput if kInt8 meets a number
/// that is not finite.
void encode_head(StateFormat format, std::span<const float> state, std::byte* out,
                 std::span<float> scales);
/// The inverse of encode_head.
void decode_head(StateFormat format, const std::byte* stored, std::span<const float> scales,
                 std::span<float> state);

}  // namespace mm
