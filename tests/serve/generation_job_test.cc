#include "serve/generation_job.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "model/weights.h"
#include "serve/grammar_store.h"
#include "tests/serve/fake_exchange.h"
#include "text/tokenizer.h"

namespace mm {

namespace {

using Kind = AnswerFormat::Kind;

/// What a writer was told, in one word each.
struct Told {
  std::vector<std::string> events;  // of the engine's thread, read after `over`
  std::string text;
  std::promise<void> first_text;
  std::promise<void> over;  // when the writer is gone
};

class RecordingWriter final : public AnswerWriter {
 public:
  explicit RecordingWriter(Told& told) : told_(told) {}
  ~RecordingWriter() override { told_.over.set_value(); }
  RecordingWriter(const RecordingWriter&) = delete;
  RecordingWriter& operator=(const RecordingWriter&) = delete;

  void begin() override { told_.events.emplace_back("begin"); }
  void progress(int64_t, int64_t) override {}
  bool text(size_t, const std::string& piece, const std::vector<TokenLogprobs>&) override {
    if (told_.text.empty()) {
      told_.first_text.set_value();
    }
    told_.text += piece;
    return true;
  }
  void end(size_t, const GenerationResult& result, const std::vector<TokenLogprobs>&) override {
    told_.events.emplace_back(to_string(result.reason));
  }
  void finish() override { told_.events.emplace_back("finish"); }
  void fail(const ApiError& error) override {
    told_.events.push_back("fail " + std::to_string(error.status) + " " + error.param);
  }

 private:
  Told& told_;
};

using Events = std::vector<std::string>;

class GenerationJobTest : public ::testing::Test {
 protected:
  GenerationJobTest() {
    served_.max_sequences = kSequences;
    served_.tokenizer = &tokenizer();
    served_.loop = &loop_;
    served_.grammars = &grammars_;
    state_->max_queue = 0;
    state_->model = &served_;
  }

  static const Tokenizer& tokenizer() {
    static const Tokenizer kTokenizer = Tokenizer::load(folder());
    return kTokenizer;
  }
  static const Model& model() {
    static const Model kModel = load_model(folder());
    return kModel;
  }
  static std::string folder() { return std::string(MM_SOURCE_DIR) + "/models/mini"; }
  static EngineOptions engine_options() {
    EngineOptions options;
    options.threads = 1;
    options.context_size = 1 << 14;
    options.max_sequences = kSequences;
    return options;
  }

  static GenerationJobOptions options(int64_t tokens, size_t choices = 1) {
    GenerationRequest request;
    request.prompt = tokenizer().encode("Once upon a time");
    request.max_tokens = tokens;
    GenerationJobOptions options;
    options.requests.assign(choices, request);
    return options;
  }
  static AnswerFormat gbnf(const std::string& text) {
    return {Kind::kGrammar, text, "grammar", "grammar"};
  }
  void start(GenerationJobOptions options, Told& told) {
    start_generation(state_, exchange_, std::move(options),
                     std::make_unique<RecordingWriter>(told));
  }
  /// Waits for the end of the job, behind which all seats are free and the engine has nothing to
  /// do.
  void wait(Told& told) {
    told.over.get_future().wait();
    while (state_->active != 0) {  // the job's last member to go
      std::this_thread::yield();
    }
    loop_.run([](Engine& engine) { EXPECT_TRUE(engine.idle()); });
  }

  static constexpr int kSequences = 2;
  Engine engine_{model(), engine_options()};
  EngineLoop loop_{engine_};
  GrammarStore grammars_{tokenizer(), {}};
  ServedModel served_;
  std::shared_ptr<ServerState> state_ = std::make_shared<ServerState>();
  std::shared_ptr<FakeExchange> exchange_ = std::make_shared<FakeExchange>();
};

}  // namespace

TEST_F(GenerationJobTest, TellsOfAllChoicesAndGivesTheirSeatsBack) {
  Told told;
  start(options(3, 2), told);
  wait(told);
  EXPECT_EQ(told.events, (Events{"begin", "length", "length", "finish"}));
  EXPECT_FALSE(told.text.empty());
}

TEST_F(GenerationJobTest, AFormatIsCompiledFirst) {
  Told told;
  GenerationJobOptions asked = options(9);
  asked.format = gbnf(R"(root ::= "yes")");
  start(std::move(asked), told);
  wait(told);
  EXPECT_EQ(told.events, (Events{"begin", "stop", "finish"}));
  EXPECT_EQ(told.text, "yes");
}

TEST_F(GenerationJobTest, AFormatThatCannotBeIsToldThroughTheWriter) {
  Told told;
  GenerationJobOptions asked = options(9);
  asked.format = gbnf("root ::= (");
  start(std::move(asked), told);
  wait(told);
  EXPECT_EQ(told.events, Events{"fail 400 grammar"});
}

TEST_F(GenerationJobTest, AClientThatGoesDuringTheCompilationLeavesNothingToDo) {
  // The store's thread is held up by a wish before, so that the client is gone when its own comes.
  std::promise<void> go_on;
  grammars_.get(gbnf(R"(root ::= "a")"),
                [held = go_on.get_future().share()](const CompiledFormat&) { held.wait(); });
  Told told;
  GenerationJobOptions asked = options(9);
  asked.format = gbnf(R"(root ::= "b")");
  start(std::move(asked), told);
  exchange_->leave();
  loop_.run([](Engine&) {});  // behind what leaving has posted
  EXPECT_EQ(state_->active, 1);
  go_on.set_value();
  wait(told);
  EXPECT_EQ(told.events, Events{});
}

TEST_F(GenerationJobTest, AClientThatGoesEndsItsGenerations) {
  Told told;
  GenerationJobOptions endless = options(-1, 2);
  for (GenerationRequest& request : endless.requests) {
    request.ignore_eos = true;
  }
  start(std::move(endless), told);
  told.first_text.get_future().wait();
  exchange_->leave();
  wait(told);
  EXPECT_EQ(told.events, (Events{"begin", "cancelled", "cancelled", "finish"}));
}

TEST_F(GenerationJobTest, MoreThanFitAreRefusedAndTakeNoSeat) {
  Told told;
  try {
    start(options(3, kSequences + 1), told);
    ADD_FAILURE() << "taken";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 429);
    EXPECT_GT(error.retry_after, 0);
  }
  wait(told);
  EXPECT_EQ(told.events, Events{});
}

TEST_F(GenerationJobTest, WhatIsPreparedIsKeptUntilTheEnd) {
  Told told;
  const auto kept = std::make_shared<int>(1);
  GenerationJobOptions asked = options(3);
  asked.prepare = [kept](Engine&) { return kept; };
  start(std::move(asked), told);
  wait(told);
  EXPECT_EQ(kept.use_count(), 1);
  EXPECT_EQ(told.events.back(), "finish");
}

TEST_F(GenerationJobTest, WhatCannotBePreparedOrQueuedIsTheAnswer) {
  Told unprepared;
  GenerationJobOptions asked = options(3);
  asked.prepare = [](Engine&) -> std::shared_ptr<const void> {
    throw ApiError(404, "invalid_request_error", "no", "context");
  };
  start(std::move(asked), unprepared);
  wait(unprepared);
  EXPECT_EQ(unprepared.events, Events{"fail 404 context"});
  // The second choice cannot be queued, so the first is taken back.
  Told half;
  asked = options(3, 2);
  asked.requests[1].prompt.clear();
  start(std::move(asked), half);
  wait(half);
  EXPECT_EQ(half.events, Events{"fail 400 "});
}

}  // namespace mm
