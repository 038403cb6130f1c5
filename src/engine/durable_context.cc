#include "engine/durable_context.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "model/model.h"

namespace mm {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void copy_bytes(const TensorView& from, const TensorView& to) {
  std::copy_n(static_cast<const char*>(from.data), from.bytes(), static_cast<char*>(to.data));
}

}  // namespace

ContextBinding context_binding(const Engine& engine, const std::string& model_hash) {
  const CacheShape& shape = engine.cache_shape();
  return {.model_hash = model_hash,
          .fingerprint = fmt::format("compute {}", to_string(shape.tail_dtype)),
          .layers = shape.layers,
          .kv_dtype = shape.kv_dtype};
}

StateCodec make_state_codec(const Model& model, StateFormat format, int64_t replay_tokens) {
  std::vector<std::vector<float>> slopes;
  const ModelConfig& config = model.config;  // the model's own slopes may lie on an accelerator
  for (size_t l = 0; l < config.layers.size(); ++l) {
    slopes.emplace_back();
    if (config.layers[l] == AttentionKind::kLightning) {
      const Tensor values =
          lightning_slopes(config.num_heads, static_cast<int>(l), config.num_layers());
      slopes.back().assign(values.ptr<float>(), values.ptr<float>() + config.num_heads);
    }
  }
  return drop_fast_heads(format, replay_tokens, slopes);
}

LoadedContext::LoadedContext(Engine& engine, const ContextReader& reader, int64_t tokens)
    : engine_(engine) {
  const Clock::time_point start = Clock::now();
  position_ = reader.nearest_state(std::min(tokens, reader.manifest().stored_tokens()));
  if (position_ == 0) {
    return;
  }
  const CacheShape& shape = engine.cache_shape();
  std::vector<int32_t> ids = reader.tokens();
  ids.resize(static_cast<size_t>(position_));
  std::vector<TensorView> states(shape.layers.size());
  pin_ = engine.import_prefix(
      {.tokens = ids,
       .load_page =
           [&](size_t layer, int64_t block, const TensorView& page, const TensorView& scales) {
             const ContextPage stored = reader.page(static_cast<int>(layer), block);
             copy_bytes(stored.data, page);
             if (!scales.empty()) {
               copy_bytes(stored.scales, scales);
             }
           },
       .load_states = [&](std::span<const TensorView> to) { reader.read_state(position_, to); }});
  bytes_ = position_ / kBlockTokens * shape.page_bytes() + shape.state_bytes();
  seconds_ = seconds_since(start);
}

LoadedContext::~LoadedContext() {
  if (position_ > 0) {
    engine_.unpin(pin_);
  }
}

}  // namespace mm
