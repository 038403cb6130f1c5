#include "serve/generation_job.h"

#include <chrono>
#include <optional>
#include <utility>

#include "base/log.h"
#include "serve/grammar_store.h"
#include "serve/seats.h"

namespace mm {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Lives as long as a choice runs: the callbacks in the engine hold it. All but the constructor
/// runs on the engine's thread.
class GenerationJob : public std::enable_shared_from_this<GenerationJob> {
 public:
  GenerationJob(const std::shared_ptr<ServerState>& state, const ServedModel& model,
                std::shared_ptr<Exchange> exchange, GenerationJobOptions options,
                std::unique_ptr<AnswerWriter> writer)
      : state_(state),
        model_(model),
        seats_(state, model, static_cast<int>(options.requests.size())),
        exchange_(std::move(exchange)),
        options_(std::move(options)),
        writer_(std::move(writer)),
        choices_(options_.requests.size()) {}

  void submit(Engine& engine, const CompiledFormat& format) {
    if (cancelled_) {
      return;
    }
    if (format.error) {
      fail(*format.error);
      return;
    }
    try {
      if (options_.prepare) {
        kept_ = options_.prepare(engine);
      }
      for (size_t i = 0; i < choices_.size(); ++i) {
        options_.requests[i].grammar = format.grammar;
        options_.requests[i].wants_logits = options_.top_logprobs >= 0;
        choices_[i].id =
            submit_generation(engine, *model_.tokenizer, options_.requests[i], callbacks(i));
        ++running_;
      }
    } catch (const std::exception& error) {
      fail(to_api_error(error));
      cancel(engine);
      release_kept();
      return;
    }
    writer_->begin();
  }
  /// Before submit(), too: a client may go while its format is compiled.
  void cancel(Engine& engine) {
    cancelled_ = true;
    for (const Choice& choice : choices_) {
      if (choice.id && !choice.ended) {
        engine.cancel(*choice.id);
      }
    }
  }

 private:
  struct Choice {
    std::optional<RequestId> id;
    bool ended = false;
    double first_token_seconds = -1;
    double last_token_seconds = -1;
    std::vector<TokenLogprobs> tokens;  // not yet written
  };

  GenerationCallbacks callbacks(size_t i) {
    GenerationCallbacks result;
    const auto self = shared_from_this();
    result.on_token = [self, i](int32_t id, std::span<const float> logits) {
      self->on_token(self->choices_[i], id, logits);
    };
    result.on_text = [self, i](const std::string& piece) {
      self->hold_until_step_ends();
      const bool heard = self->failed_ || self->writer_->text(i, piece, self->choices_[i].tokens);
      self->choices_[i].tokens.clear();
      return heard;
    };
    if (options_.progress && i == 0) {
      result.on_prefill = [self](int64_t done, int64_t total) {
        self->hold_until_step_ends();
        self->writer_->progress(done, total);
        return true;
      };
    }
    result.on_end = [self, i](const GenerationResult& end) { self->on_end(i, end); };
    return result;
  }

  void on_token(Choice& choice, int32_t id, std::span<const float> logits) const {
    const double now = seconds_since(start_);
    if (choice.first_token_seconds < 0) {
      choice.first_token_seconds = now;
    } else {
      state_->metrics.count_token_gap(now - choice.last_token_seconds);
    }
    choice.last_token_seconds = now;
    if (options_.top_logprobs >= 0) {
      choice.tokens.push_back(find_logprobs(logits, id, options_.top_logprobs));
    }
  }

  /// What a step brings for one client, of several choices or with the end, leaves in one piece.
  void hold_until_step_ends() {
    if (!held_) {
      held_ = true;
      exchange_->hold();
      model_.loop->afterwards([self = shared_from_this()]() mutable {
        self->held_ = false;
        const std::shared_ptr<Exchange> exchange = self->exchange_;
        self = nullptr;  // a job that has ended gives its seats back before its client is told
        exchange->release();
      });
    }
  }

  void on_end(size_t i, const GenerationResult& result) {
    hold_until_step_ends();
    Choice& choice = choices_[i];
    choice.ended = true;
    --running_;
    release_kept();
    const size_t tokens = result.ids.size();
    state_->metrics.count_generation(
        result.usage, result.error.empty() ? to_string(result.reason) : "error",
        choice.first_token_seconds,
        tokens > 1 ? result.decode_seconds / static_cast<double>(tokens - 1) : -1,
        seconds_since(start_));
    if (failed_) {
      return;
    }
    if (!result.error.empty()) {
      log_line(LogLevel::kError, result.error);
      fail({500, "server_error", "the generation failed; the server's log says why", "",
            "internal_error"});
      return;
    }
    writer_->end(i, result, choice.tokens);
    if (++ended_ == choices_.size()) {
      writer_->finish();
    }
  }

  /// When nothing runs any more. Between two steps: this is called within one.
  void release_kept() {
    if (running_ == 0 && kept_) {
      model_.loop->post([kept = std::exchange(kept_, nullptr)](Engine&) {});
    }
  }
  void fail(const ApiError& error) {
    failed_ = true;
    writer_->fail(error);
  }

  std::shared_ptr<ServerState> state_;
  const ServedModel& model_;
  Seats seats_;
  std::shared_ptr<Exchange> exchange_;
  GenerationJobOptions options_;
  std::unique_ptr<AnswerWriter> writer_;
  std::vector<Choice> choices_;
  std::shared_ptr<const void> kept_;  // of options_.prepare
  size_t running_ = 0;
  size_t ended_ = 0;
  bool failed_ = false;
  bool cancelled_ = false;
  bool held_ = false;  // the exchange, until the step ends
  const Clock::time_point start_ = Clock::now();
};

}  // namespace

void start_generation(const std::shared_ptr<ServerState>& state,
                      const std::shared_ptr<Exchange>& exchange, GenerationJobOptions options,
                      std::unique_ptr<AnswerWriter> writer) {
  const ServedModel& model = state->ready();
  AnswerFormat format = std::move(options.format);
  const auto job = std::make_shared<GenerationJob>(state, model, exchange, std::move(options),
                                                   std::move(writer));
  const auto submit = [job, loop = model.loop](const CompiledFormat& compiled) {
    loop->post([job, compiled](Engine& engine) { job->submit(engine, compiled); });
  };
  if (format.kind == AnswerFormat::Kind::kAny) {
    submit({});
  } else {
    model.grammars->get(std::move(format), submit);
  }
  // Weak: the exchange lives in the job.
  exchange->on_gone([weak = std::weak_ptr(job), loop = model.loop] {
    if (const auto gone = weak.lock()) {
      loop->post([gone](Engine& engine) { gone->cancel(engine); });
    }
  });
}

}  // namespace mm
