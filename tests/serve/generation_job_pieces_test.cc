#include <gtest/gtest.h>

#include <future>

#include "model/weights.h"
#include "serve/generation_job.h"

namespace mm {
namespace {

/// Writes down, in order, what its exchange and its writer are told.
struct Log final : Exchange {
  void respond(HttpResponse) override {}
  void begin(HttpResponse) override {}
  bool write(std::string_view) override { return true; }
  void finish() override {}
  void on_gone(std::function<void()>) override {}
  void hold() override { held = true; }
  void release() override {
    held = false;
    ++groups;
    if (ended) {
      released.set_value();
    }
  }
  bool held = false, ended = false;
  int groups = 0;  ///< times that something was let go
  int texts = 0;   ///< pieces of text
  int unheld = 0;  ///< of those and of ends, that could have left on their own
  std::promise<void> released;
};

class LogWriter final : public AnswerWriter {
 public:
  explicit LogWriter(std::shared_ptr<Log> log) : log_(std::move(log)) {}
  void begin() override {}
  void progress(int64_t, int64_t) override {}
  bool text(size_t, const std::string&, const std::vector<TokenLogprobs>&) override {
    ++log_->texts;
    log_->unheld += log_->held ? 0 : 1;
    return true;
  }
  void end(size_t, const GenerationResult&, const std::vector<TokenLogprobs>&) override {
    log_->unheld += log_->held ? 0 : 1;
  }
  void finish() override { log_->ended = true; }
  void fail(const ApiError& error) override { ADD_FAILURE() << error.message; }

 private:
  std::shared_ptr<Log> log_;
};

TEST(GenerationJob, WhatOneStepBringsLeavesTogether) {
  constexpr size_t kChoices = 4;
  constexpr int64_t kTokens = 6;
  const std::string folder = std::string(MM_SOURCE_DIR) + "/models/mini";
  const Model model = load_model(folder);
  const Tokenizer tokenizer = Tokenizer::load(folder);
  Engine engine(model, {.context_size = 128, .max_sequences = kChoices});
  EngineLoop loop(engine);
  ServedModel served;
  served.max_sequences = kChoices;
  served.tokenizer = &tokenizer;
  served.loop = &loop;
  const auto state = std::make_shared<ServerState>();
  state->model = &served;
  GenerationJobOptions options;
  for (size_t i = 0; i < kChoices; ++i) {
    GenerationRequest request;
    request.prompt = tokenizer.encode("Once upon a time");
    request.max_tokens = kTokens;
    options.requests.push_back(std::move(request));
  }
  const auto log = std::make_shared<Log>();
  start_generation(state, log, std::move(options), std::make_unique<LogWriter>(log));
  log->released.get_future().wait();
  EXPECT_EQ(log->unheld, 0);
  EXPECT_GT(log->texts, kTokens);
  // A step for each token, and as many again while choices wait for the prompt that they share.
  EXPECT_LE(log->groups, 2 * kTokens);
  // The seats were given back before the client could know of the end.
  EXPECT_EQ(state->active, 0);
}

}  // namespace
}  // namespace mm
