#include "engine/generation.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "engine/sampler.h"
#include "text/detokenizer.h"
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
      : detokenizer_(tokenizer, {.skip_special = !request.show_special}),
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

/// One generation: the prompt, then token by token.
class Generation {
 public:
  Generation(Runner& runner, const Tokenizer& tokenizer, const GenerationRequest& request,
             const GenerationCallbacks& callbacks)
      : runner_(runner),
        request_(request),
        callbacks_(callbacks),
        sampler_(request.sampling, runner.model().config.vocab_size, runner.model().zero_rows),
        stream_(tokenizer, request, callbacks, result_) {}

  GenerationResult run() {
    result_.cached_tokens = runner_.position();
    const auto start = std::chrono::steady_clock::now();
    const std::span<const float> logits = prefill();
    result_.prefill_seconds = seconds_since(start);
    result_.prompt_tokens = runner_.position() - result_.cached_tokens;
    const auto decode_start = std::chrono::steady_clock::now();
    if (logits.empty()) {
      result_.reason = FinishReason::kCancelled;
    } else {
      sampler_.accept_prompt(request_.history);
      sampler_.accept_prompt(request_.prompt);
      decode(logits);
    }
    stream_.finish();
    result_.decode_seconds = seconds_since(decode_start);
    result_.fed_tokens = runner_.position() - result_.cached_tokens - result_.prompt_tokens;
    return std::move(result_);
  }

 private:
  bool cancelled() const { return callbacks_.cancelled && callbacks_.cancelled(); }

  std::span<const float> prefill() {
    return runner_.prefill(request_.prompt, [&](int64_t done, int64_t total) {
      const bool wanted = !callbacks_.on_prefill || callbacks_.on_prefill(done, total);
      return wanted && !cancelled();
    });
  }

  bool is_end(int32_t id) const {
    return !request_.ignore_eos && std::find(request_.stop_ids.begin(), request_.stop_ids.end(),
                                             id) != request_.stop_ids.end();
  }

  /// Whether another token may follow those generated; if not, the result says why.
  bool may_go_on() {
    const int64_t generated = static_cast<int64_t>(result_.ids.size());
    if (request_.max_tokens >= 0 && generated >= request_.max_tokens) {
      result_.reason = FinishReason::kLength;
    } else if (generated > 0 && runner_.position() >= runner_.context_size()) {
      result_.reason = FinishReason::kContextFull;  // the last one drawn has no place
    } else if (cancelled()) {
      result_.reason = FinishReason::kCancelled;
    } else {
      return true;
    }
    return false;
  }

  /// Draws a token and shows its text; nothing when it ends the generation.
  std::optional<int32_t> draw(std::span<const float> logits) {
    const int32_t id = sampler_.sample(logits);
    result_.ids.push_back(id);
    if (is_end(id)) {
      result_.reason = FinishReason::kStop;
      if (request_.show_special) {
        stream_.push(id);
      }
      return std::nullopt;
    }
    return stream_.push(id) ? std::optional(id) : std::nullopt;
  }

  void decode(std::span<const float> logits) {
    if (!may_go_on()) {
      return;
    }
    for (;;) {
      const std::optional<int32_t> id = draw(logits);
      if (!id || !may_go_on()) {
        return;
      }
      logits = runner_.prefill({&*id, 1});
    }
  }

  Runner& runner_;
  const GenerationRequest& request_;
  const GenerationCallbacks& callbacks_;
  GenerationResult result_;
  Sampler sampler_;
  TextStream stream_;
};

}  // namespace

double GenerationResult::prefill_rate() const {
  return prefill_seconds > 0 ? static_cast<double>(prompt_tokens) / prefill_seconds : 0;
}

double GenerationResult::decode_rate() const {
  return decode_seconds > 0 && ids.size() > 1 ? static_cast<double>(ids.size() - 1) / decode_seconds
                                              : 0;
}

GenerationResult generate(Runner& runner, const Tokenizer& tokenizer,
                          const GenerationRequest& request, const GenerationCallbacks& callbacks) {
  return Generation(runner, tokenizer, request, callbacks).run();
}

}  // namespace mm
