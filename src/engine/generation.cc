#include "engine/generation.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "text/detokenizer.h"
#include "text/grammar.h"
#include "text/stop.h"

namespace mm {

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// From ids to text that may be shown.
class TextStream {
 public:
  TextStream(const Tokenizer& tokenizer, const GenerationRequest& request,
             const GenerationCallbacks& callbacks, GenerationResult& result)
      : detokenizer_(tokenizer, {.skip_special = !request.show_special, .keep = request.shown_ids}),
        stop_(request.stops),
        request_(request),
        callbacks_(callbacks),
        result_(result) {}

  /// False when the generation should end; the result then says why.
  bool push(int32_t id) {
    const bool shown = release(stop_.push(detokenizer_.push(id)).text);
    return !stopped() && shown;
  }

  /// Releases what was held back for a character or a stop string that never came.
  void finish() {
    if (!stopped()) {
      release(stop_.push(detokenizer_.flush()).text);
    }
    if (!stopped()) {
      release(stop_.flush());
    }
  }

 private:
  bool stopped() {
    if (stop_.stopped()) {
      result_.reason = FinishReason::kStop;
      result_.stop = request_.stops[*stop_.stopped()];
      return true;
    }
    return false;
  }
  bool release(const std::string& piece) {
    if (piece.empty()) {
      return true;
    }
    result_.text += piece;
    if (callbacks_.on_text && !callbacks_.on_text(piece)) {
      result_.reason = FinishReason::kCancelled;
      return false;
    }
    return true;
  }

  Detokenizer detokenizer_;
  StopMatcher stop_;
  const GenerationRequest& request_;
  const GenerationCallbacks& callbacks_;
  GenerationResult& result_;
};

/// A grammar as the engine knows it: its tokens, and the stop ids where the text may end.
class GrammarMask : public TokenMask {
 public:
  GrammarMask(std::shared_ptr<const Grammar> grammar, std::vector<int32_t> stop_ids)
      : state_(std::move(grammar)), stop_ids_(std::move(stop_ids)) {}

  void find_allowed(std::span<uint64_t> allowed) override {
    state_.find_allowed(allowed);
    if (state_.may_end()) {
      for (const int32_t id : stop_ids_) {
        allowed[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
      }
    }
  }
  void accept(int32_t id) override {
    if (std::find(stop_ids_.begin(), stop_ids_.end(), id) == stop_ids_.end()) {
      state_.accept(id);
    }
  }
  bool must_end() const override { return state_.must_end(); }

 private:
  GrammarState state_;
  const std::vector<int32_t> stop_ids_;
};

std::shared_ptr<TokenMask> make_mask(const GenerationRequest& request,
                                     const std::vector<int32_t>& stop_ids, int64_t vocab_size) {
  if (request.grammar == nullptr) {
    return nullptr;
  }
  if (request.grammar->trie().vocab_size() > vocab_size) {
    bad_input("the grammar's vocabulary has {} tokens, the model's {}",
              request.grammar->trie().vocab_size(), vocab_size);
  }
  std::vector<int32_t> known;  // others cannot be drawn
  std::copy_if(stop_ids.begin(), stop_ids.end(), std::back_inserter(known),
               [&](int32_t id) { return id >= 0 && id < vocab_size; });
  const GrammarState start(request.grammar);
  if (start.must_end() && known.empty()) {
    bad_input("the grammar allows the empty text alone, and no token ends it");
  }
  return std::make_shared<GrammarMask>(request.grammar, std::move(known));
}

/// One generation, as the receiver of its events.
class Generation {
 public:
  Generation(Engine& engine, const Tokenizer& tokenizer, const GenerationRequest& request,
             GenerationCallbacks callbacks)
      : engine_(engine),
        request_(request),
        callbacks_(std::move(callbacks)),
        stream_(tokenizer, request_, callbacks_, result_),
        start_(std::chrono::steady_clock::now()) {}

  void receive(const Event& event) {
    switch (event.kind) {
      case Event::Kind::kProgress:
        progress(event);
        break;
      case Event::Kind::kToken:
        token(event.token, event.logits);
        if (ended_here_) {
          engine_.cancel(event.id);
        }
        break;
      case Event::Kind::kEnd:
        finish(event);
        break;
      case Event::Kind::kError:
        result_.error = event.error;
        finish(event);
        break;
    }
  }

 private:
  void progress(const Event& event) {
    if (event.done == event.usage.prompt_tokens) {
      mark_prompt_end();
    }
    if (callbacks_.on_prefill && !callbacks_.on_prefill(event.done, event.usage.prompt_tokens)) {
      engine_.cancel(event.id);
    }
  }

  void mark_prompt_end() {
    result_.prefill_seconds = seconds_since(start_);
    decode_start_ = std::chrono::steady_clock::now();
  }

  void token(int32_t id, std::span<const float> logits) {
    result_.ids.push_back(id);
    const bool stops =
        !request_.ignore_eos && std::find(request_.stop_ids.begin(), request_.stop_ids.end(), id) !=
                                    request_.stop_ids.end();
    if (!stops || request_.show_special) {
      if (callbacks_.on_token) {
        callbacks_.on_token(id, logits);
      }
      ended_here_ = !stream_.push(id);  // the result then says why
    }
  }

  void finish(const Event& event) {
    if (!ended_here_) {
      result_.reason = event.reason;
    }
    stream_.finish();
    result_.usage = event.usage;
    if (decode_start_) {
      result_.decode_seconds = seconds_since(*decode_start_);
    } else {
      result_.prefill_seconds = seconds_since(start_);
    }
    if (callbacks_.on_end) {
      callbacks_.on_end(result_);
    }
  }

  Engine& engine_;
  const GenerationRequest request_;
  const GenerationCallbacks callbacks_;
  GenerationResult result_;
  TextStream stream_;
  bool ended_here_ = false;  // by a stop string, or by who is shown the text
  std::chrono::steady_clock::time_point start_;
  std::optional<std::chrono::steady_clock::time_point> decode_start_;
};

}  // namespace

double GenerationResult::prefill_rate() const {
  const int64_t done = usage.prompt_tokens - usage.cached_tokens;
  return prefill_seconds > 0 ? static_cast<double>(done) / prefill_seconds : 0;
}

double GenerationResult::decode_rate() const {
  return decode_seconds > 0 && ids.size() > 1 ? static_cast<double>(ids.size() - 1) / decode_seconds
                                              : 0;
}

RequestId submit_generation(Engine& engine, const Tokenizer& tokenizer,
                            const GenerationRequest& request, GenerationCallbacks callbacks) {
  const auto generation =
      std::make_shared<Generation>(engine, tokenizer, request, std::move(callbacks));
  const std::vector<int32_t> stop_ids =
      request.ignore_eos ? std::vector<int32_t>() : request.stop_ids;
  return engine.submit(
      {.prompt = request.prompt,
       .sampling = request.sampling,
       .max_tokens = request.max_tokens,
       .stop_ids = stop_ids,
       .mask = make_mask(request, stop_ids, engine.model().config.vocab_size),
       .wants_logits = request.wants_logits,
       .known_tokens = request.known_tokens,
       .branch_points = request.branch_points,
       .on_event = [generation](const Event& event) { generation->receive(event); }});
}

GenerationResult generate(Engine& engine, const Tokenizer& tokenizer,
                          const GenerationRequest& request, GenerationCallbacks callbacks,
                          const std::function<bool()>& cancelled) {
  std::optional<GenerationResult> result;
  callbacks.on_end = [&, told = std::move(callbacks.on_end)](const GenerationResult& end) {
    result = end;
    if (told) {
      told(end);
    }
  };
  const RequestId id = submit_generation(engine, tokenizer, request, std::move(callbacks));
  while (!result) {
    if (cancelled && cancelled()) {
      engine.cancel(id);
    }
    engine.step();
  }
  if (!result->error.empty()) {
    raise(ErrorKind::kInternal, "{}", result->error);
  }
  return std::move(*result);
}

}  // namespace mm
