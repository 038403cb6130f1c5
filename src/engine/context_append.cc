#include "engine/context_append.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "base/error.h"

namespace mm {
namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

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

}  // namespace

/// Receives the snapshots of one prefill and writes them as segments.
class ContextAppend::Sink {
 public:
  Sink(const CacheShape& shape, ContextWriter& writer) : shape_(shape), writer_(writer) {}

  void write(const Snapshot& snapshot) {
    const int64_t begin = writer_.manifest().stored_tokens();
    const bool state_only = snapshot.position() == begin && !writer_.manifest().ends_in_state();
    if (snapshot.position() <= begin && !state_only) {
      return;  // replayed: it is on the disk already
    }
    const double start = seconds_now();
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
    seconds_ += seconds_now() - start;
  }
  double seconds() const { return seconds_; }

 private:
  const CacheShape& shape_;
  ContextWriter& writer_;
  std::vector<TensorView> states_;
  double seconds_ = 0;
};

ContextAppend::ContextAppend(ContextWriter& writer, const ContextReader* stored,
                             std::span<const int32_t> tokens, AppendOptions options)
    : writer_(writer),
      stored_(stored),
      tokens_(tokens),
      whole_(static_cast<int64_t>(tokens.size()) / kBlockTokens * kBlockTokens),
      options_(std::move(options)) {
  if (stored != nullptr) {
    check_prefix(stored->tokens(), tokens);
  }
}

ContextAppend::~ContextAppend() = default;

void ContextAppend::start(Engine& engine) {
  start_ = seconds_now();
  const ContextManifest& manifest = writer_.manifest();
  if (whole_ <= manifest.stored_tokens() && manifest.ends_in_state()) {
    end("");
    return;
  }
  if (stored_ != nullptr) {
    loaded_.emplace(engine, *stored_, whole_ - 1);
  }
  sink_ = std::make_unique<Sink>(engine.cache_shape(), writer_);
  if (options_.first_metadata) {
    writer_.set_metadata(*options_.first_metadata);
    writer_.commit();
  }
  id_ = engine.submit(make_request(engine));
}

EngineRequest ContextAppend::make_request(Engine& engine) {
  const ContextManifest& manifest = writer_.manifest();
  EngineRequest request{.prompt = {tokens_.begin(), tokens_.begin() + whole_}, .max_tokens = 0};
  request.known_tokens = manifest.stored_tokens();
  request.snapshot_every =
      options_.segment_tokens > 0 ? options_.segment_tokens : engine.checkpoint_every();
  request.snapshot_at = manifest.ends_in_state() ? 0 : manifest.stored_tokens();
  request.on_snapshot = [this](const Snapshot& snapshot) {
    try {
      sink_->write(snapshot);
    } catch (...) {
      failure_ = std::current_exception();  // the engine keeps the words and not the kind
      throw;
    }
  };
  request.on_event = [this](const Event& event) { on_event(event); };
  return request;
}

void ContextAppend::cancel(Engine& engine) {
  if (id_ && !ended_) {
    engine.cancel(*id_);
  }
}

void ContextAppend::on_event(const Event& event) {
  result_.usage = event.usage;
  if (event.kind == Event::Kind::kProgress && options_.progress) {
    options_.progress(event.done, static_cast<int64_t>(tokens_.size()));
  }
  if (event.kind == Event::Kind::kEnd || event.kind == Event::Kind::kError) {
    end(event.error);
  }
}

void ContextAppend::end(const std::string& error) {
  if (!error.empty() && !failure_) {
    failure_ = std::make_exception_ptr(Error(ErrorKind::kInternal, error));
  }
  if (!failure_) {
    complete();
  }
  result_.seconds = seconds_now() - start_;
  result_.write_seconds = sink_ ? sink_->seconds() : 0;
  ended_ = true;
  // Nothing of the caller's is kept: it may be what keeps this.
  const std::function<void()> on_end = std::exchange(options_, {}).on_end;
  if (on_end) {
    on_end();
  }
}

void ContextAppend::complete() {
  if (writer_.manifest().stored_tokens() != whole_) {
    return;  // cancelled
  }
  try {
    writer_.set_tail(tokens_.subspan(static_cast<size_t>(whole_)));
    writer_.set_metadata(options_.final_metadata);
    writer_.commit();
    result_.finished = true;
  } catch (...) {
    failure_ = std::current_exception();
  }
}

const AppendResult& ContextAppend::result() const {
  MM_CHECK(ended_);
  if (failure_) {
    std::rethrow_exception(failure_);
  }
  return result_;
}

AppendResult append_to_context(Engine& engine, ContextWriter& writer, const ContextReader* stored,
                               std::span<const int32_t> tokens, AppendOptions options) {
  const std::function<bool()> cancelled = options.cancelled;
  ContextAppend append(writer, stored, tokens, std::move(options));
  append.start(engine);
  while (!append.ended()) {
    if (cancelled && cancelled()) {
      append.cancel(engine);
    }
    engine.step();
  }
  return append.result();
}

}  // namespace mm
