#include "engine/durable_context.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "model/model.h"

namespace mm {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int64_t floor_block(int64_t tokens) {
  return tokens / kBlockTokens * kBlockTokens;
}

void copy_bytes(const TensorView& from, const TensorView& to) {
  std::copy_n(static_cast<const char*>(from.data), from.bytes(), static_cast<char*>(to.data));
}

/// Receives the snapshots of one prefill and writes them as segments.
class SegmentSink {
 public:
  SegmentSink(const CacheShape& shape, ContextWriter& writer) : shape_(shape), writer_(writer) {}

  void write(const Snapshot& snapshot) {
    const int64_t begin = writer_.manifest().stored_tokens();
    const bool state_only = snapshot.position() == begin && !writer_.manifest().ends_in_state();
    if (snapshot.position() <= begin && !state_only) {
      return;  // replayed: it is on the disk already
    }
    const Clock::time_point start = Clock::now();
    states_.clear();
    for (size_t layer = 0; layer < shape_.layers.size(); ++layer) {
      states_.push_back(shape_.layers[layer].recurrent ? snapshot.state(layer) : TensorView());
    }
    const auto page = [&](int layer, int64_t block) {
      const size_t l = static_cast<size_t>(layer);
      return ContextPage{snapshot.page(l, block), snapshot.page_scales(l, block)};
    };
    if (state_only) {
      writer_.add_states(states_);
    } else {
      writer_.append_segment(snapshot.tokens().subspan(static_cast<size_t>(begin)), page, states_);
    }
    writer_.commit();
    seconds_ += seconds_since(start);
  }
  double seconds() const { return seconds_; }

 private:
  const CacheShape& shape_;
  ContextWriter& writer_;
  std::vector<TensorView> states_;
  double seconds_ = 0;
};

void check_prefix(std::span<const int32_t> stored, std::span<const int32_t> tokens) {
  const auto [left, right] =
      std::mismatch(stored.begin(), stored.end(), tokens.begin(), tokens.end());
  if (left != stored.end()) {
    bad_input(
        "token {} of the new content is not that of the context; a context only grows at its "
        "end (fork it at that token)",
        left - stored.begin());
  }
}

/// Computes `tokens`, whole blocks of a context of `total` tokens, and writes what is missing of
/// them.
Usage prefill(Engine& engine, std::span<const int32_t> tokens, int64_t total, int64_t known,
              const AppendOptions& options, SegmentSink& sink) {
  Usage usage;
  bool ended = false;
  std::string error;
  EngineRequest request{.prompt = {tokens.begin(), tokens.end()}, .max_tokens = 0};
  request.known_tokens = known;
  request.snapshot_every =
      options.segment_tokens > 0 ? options.segment_tokens : engine.checkpoint_every();
  request.on_snapshot = [&](const Snapshot& snapshot) { sink.write(snapshot); };
  request.on_event = [&](const Event& event) {
    usage = event.usage;
    if (event.kind == Event::Kind::kProgress && options.progress) {
      options.progress(event.done, total);
    }
    ended = event.kind == Event::Kind::kEnd || event.kind == Event::Kind::kError;
    error = event.error;
  };
  const RequestId id = engine.submit(std::move(request));
  while (!ended) {
    if (options.cancelled && options.cancelled()) {
      engine.cancel(id);
    }
    engine.step();
  }
  if (!error.empty()) {
    raise(ErrorKind::kIo, "{}", error);
  }
  return usage;
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

AppendResult append_to_context(Engine& engine, ContextWriter& writer, const ContextReader* stored,
                               std::span<const int32_t> tokens, const AppendOptions& options) {
  const Clock::time_point start = Clock::now();
  if (stored != nullptr) {
    check_prefix(stored->tokens(), tokens);
  }
  AppendResult result;
  const int64_t total = static_cast<int64_t>(tokens.size());
  const int64_t whole = floor_block(total);
  const int64_t begin = writer.manifest().stored_tokens();
  const bool cut = !writer.manifest().ends_in_state();
  if (whole > begin || cut) {
    std::optional<LoadedContext> loaded;
    if (stored != nullptr) {
      loaded.emplace(engine, *stored, whole - 1);
    }
    SegmentSink sink(engine.cache_shape(), writer);
    if (cut) {
      result.usage =
          prefill(engine, tokens.first(static_cast<size_t>(begin)), total, begin, options, sink);
    }
    if (whole > begin) {
      const Usage before = result.usage;
      result.usage =
          prefill(engine, tokens.first(static_cast<size_t>(whole)), total, begin, options, sink);
      if (cut) {  // what the first part replayed is cached for the second
        result.usage.cached_tokens = std::min(result.usage.cached_tokens, before.cached_tokens);
        result.usage.replayed_tokens += before.replayed_tokens;
      }
    }
    result.write_seconds = sink.seconds();
  }
  result.finished = writer.manifest().stored_tokens() == whole;
  if (result.finished) {
    writer.set_tail(tokens.subspan(static_cast<size_t>(whole)));
    writer.set_metadata(options.final_metadata);
    writer.commit();
  }
  result.seconds = seconds_since(start);
  return result;
}

}  // namespace mm
