#include "serve/context_write_job.h"

#include <fmt/format.h>

#include <utility>

#include "engine/context_append.h"
#include "serve/answer_text.h"
#include "serve/api_error.h"
#include "serve/context_object.h"
#include "serve/seats.h"

namespace mm {

namespace {

/// Kept by the append's callbacks until it has ended. All runs on the engine's thread.
class ContextWriteJob : public std::enable_shared_from_this<ContextWriteJob> {
 public:
  ContextWriteJob(const std::shared_ptr<ServerState>& state, std::shared_ptr<Exchange> exchange,
                  std::unique_ptr<PlannedWrite> plan, ContextWriteOptions options)
      : model_(state->ready()),
        seats_(state, model_, 1),
        exchange_(std::move(exchange)),
        plan_(std::move(plan)),
        options_(std::move(options)) {}

  void start(Engine& engine) {
    engine_ = &engine;
    if (cancelled_) {
      return;
    }
    try {
      append_ = std::make_unique<ContextAppend>(plan_->writer, plan_->reader(), plan_->tokens,
                                                append_options());
      append_->start(engine);
    } catch (const std::exception& error) {
      append_.reset();  // and with its callbacks, what keeps this
      plan_.reset();
      fail(to_api_error(error));
      return;
    }
    if (!append_->ended()) {
      progress(plan_->writer.token_count());
    }
  }
  /// Before start(), too.
  void cancel(Engine& engine) {
    cancelled_ = true;
    if (append_) {
      append_->cancel(engine);
    }
  }

 private:
  AppendOptions append_options() {
    const auto self = shared_from_this();
    AppendOptions options;
    options.segment_tokens = options_.segment_tokens;
    options.progress = [self](int64_t done, int64_t) { self->progress(done); };
    options.on_end = [self] { self->end(); };
    return with_notes(std::move(options), plan_->writer, plan_->tokens, plan_->notes);
  }

  void progress(int64_t done) {
    if (!options_.stream) {
      return;
    }
    begin_stream();
    const Json event = {
        {"context_progress", {{"processed", done}, {"total", plan_->tokens.size()}}}};
    if (!exchange_->write(sse_data(event))) {
      cancel(*engine_);
    }
  }

  void begin_stream() {
    if (!std::exchange(begun_, true)) {
      exchange_->begin(event_stream_head(": keep-alive\n\n"));
    }
  }

  void end() {
    // What was loaded is given back between two steps: this is called within one.
    model_.loop->post([self = shared_from_this()](Engine&) {});
    try {
      const AppendResult& result = append_->result();
      if (!result.finished) {
        throw interrupted();
      }
      Json context = written_context(options_.name, plan_->writer.manifest(), result.usage);
      progress(plan_->writer.token_count());  // the engine's last told of whole blocks
      plan_.reset();                          // the lock, before the client can ask for it again
      succeed(std::move(context));
    } catch (const std::exception& error) {
      plan_.reset();
      fail(to_api_error(error));
    }
  }

  ApiError interrupted() const {
    return {503, "server_error",
            fmt::format("the context was written up to token {} of {}; send the same request again "
                        "to go on from there",
                        plan_->writer.token_count(), plan_->tokens.size()),
            "", "interrupted"};
  }

  void succeed(Json context) {
    if (options_.stream) {
      begin_stream();
      exchange_->write(sse_data({{"context", std::move(context)}}));
      finish_stream();
      return;
    }
    HttpResponse response;
    response.status = options_.status;
    response.body = dump_json(context);
    exchange_->respond(std::move(response));
  }

  void fail(const ApiError& error) {
    if (!begun_) {
      exchange_->respond(error_response(error));
      return;
    }
    exchange_->write(sse_data(error_json(error)));
    finish_stream();
  }

  void finish_stream() {
    exchange_->write("data: [DONE]\n\n");
    exchange_->finish();
  }

  const ServedModel& model_;
  Seats seats_;
  std::shared_ptr<Exchange> exchange_;
  std::unique_ptr<PlannedWrite> plan_;
  ContextWriteOptions options_;
  std::unique_ptr<ContextAppend> append_;  // of the plan's writer; what it loaded is the engine's
  Engine* engine_ = nullptr;
  bool begun_ = false;
  bool cancelled_ = false;
};

}  // namespace

void start_context_write(const std::shared_ptr<ServerState>& state,
                         const std::shared_ptr<Exchange>& exchange,
                         std::unique_ptr<PlannedWrite> plan, ContextWriteOptions options) {
  EngineLoop* loop = state->ready().loop;
  const auto job =
      std::make_shared<ContextWriteJob>(state, exchange, std::move(plan), std::move(options));
  loop->post([job](Engine& engine) { job->start(engine); });
  // Weak: the job keeps the exchange.
  exchange->on_gone([weak = std::weak_ptr(job), loop] {
    if (const auto gone = weak.lock()) {
      loop->post([gone](Engine& engine) { gone->cancel(engine); });
    }
  });
}

}  // namespace mm
