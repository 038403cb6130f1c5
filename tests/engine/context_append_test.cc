/// Contexts written among other work of the engine.
#include "engine/context_append.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "base/output_file.h"
#include "tests/cache/context_fixture.h"
#include "tests/engine/golden.h"

namespace mm {
namespace {

using Ids = std::vector<int32_t>;
using testing::random_ids;

class ContextAppendTest : public ::testing::Test {
 protected:
  ContextWriter create(const std::string& name) const {
    return store_.create(name,
                         {.binding = binding_, .backend = "test", .codec = {}, .metadata = {}});
  }
  /// What can differ between two ways to the same context.
  std::string segments(const std::string& name) const {
    std::string text;
    for (const SegmentEntry& segment : store_.show(name).segments) {
      text += fmt::format("{} {}-{} {} {}\n", segment.file, segment.begin, segment.end,
                          segment.has_state, to_hex(segment.checksum));
    }
    return text;
  }
  /// Writes what is missing of the context, which exists, and returns what that cost.
  Usage go_on(const std::string& name, const Ids& tokens) {
    ContextWriter writer = store_.open_writer(name, binding_);
    const ContextReader reader = store_.open_reader(name, binding_);
    const AppendResult result = append_to_context(engine_, writer, &reader, tokens, {});
    EXPECT_TRUE(result.finished);
    return result.usage;
  }

  Model model_ = testing::load_named_model("tiny");
  EngineOptions options_ = {.threads = 2,
                            .context_size = 2048,
                            .max_sequences = 4,
                            .step_tokens = 128,
                            .checkpoint_every = 256};
  Engine engine_{model_, options_};
  ContextBinding binding_ = context_binding(engine_, "0123456789abcdef0123456789abcdef");
  TemporaryFolder folder_;
  ContextStore store_{folder_.path()};
  const Ids tokens_ = random_ids(1500, model_.config.vocab_size, 1);
};

TEST_F(ContextAppendTest, OthersGoOnMeanwhile) {
  ContextWriter writer = create("a");
  std::vector<char> order;
  bool ended = false;
  AppendOptions options;
  options.progress = [&](int64_t, int64_t total) {
    EXPECT_EQ(total, 1500);
    order.push_back('p');
  };
  options.on_end = [&] { ended = true; };
  ContextAppend append(writer, nullptr, tokens_, std::move(options));
  append.start(engine_);
  EngineRequest other{.prompt = random_ids(10, model_.config.vocab_size, 2), .max_tokens = 6};
  other.on_event = [&](const Event& event) {
    if (event.kind == Event::Kind::kToken) {
      order.push_back('t');
    }
  };
  engine_.submit(std::move(other));
  while (engine_.step()) {
  }
  EXPECT_TRUE(ended);
  EXPECT_TRUE(append.result().finished);
  EXPECT_EQ(std::count(order.begin(), order.end(), 't'), 6);
  EXPECT_GE(std::count(order.begin(), order.end(), 'p'), 1500 / 128);
  EXPECT_EQ(order.back(), 'p');  // the short one did not wait for the long one
  EXPECT_EQ(store_.open_reader("a", binding_).tokens(), tokens_);
}

TEST_F(ContextAppendTest, CancelledItGoesOnToTheSameFiles) {
  {
    ContextWriter writer = create("a");
    ContextAppend* running = nullptr;
    AppendOptions options;
    options.progress = [&](int64_t done, int64_t) {
      if (done >= 640) {
        running->cancel(engine_);
      }
    };
    ContextAppend append(writer, nullptr, tokens_, std::move(options));
    running = &append;
    append.start(engine_);
    while (engine_.step()) {
    }
    EXPECT_FALSE(append.result().finished);
  }
  EXPECT_EQ(store_.show("a").token_count(), 512);
  // What was computed after the last commit is cached, or computed again by an engine that is new.
  const Usage usage = go_on("a", tokens_);
  EXPECT_GE(usage.cached_tokens, 512);
  EXPECT_LE(usage.computed_tokens, 1500 - 512);
  ContextWriter writer = create("b");
  EXPECT_TRUE(append_to_context(engine_, writer, nullptr, tokens_, {}).finished);
  Engine cold(model_, options_);
  ContextWriter cold_writer = create("c");
  EXPECT_TRUE(append_to_context(cold, cold_writer, nullptr, tokens_, {}).finished);
  EXPECT_EQ(segments("a"), segments("c"));
  EXPECT_EQ(store_.open_reader("b", binding_).tokens(), tokens_);
}

TEST_F(ContextAppendTest, NothingToComputeEndsAtOnce) {
  const Ids few(tokens_.begin(), tokens_.begin() + 40);
  ContextWriter writer = create("a");
  bool ended = false;
  AppendOptions options;
  options.on_end = [&] { ended = true; };
  options.first_metadata = ContextMetadata{{"k", "first"}};
  options.final_metadata = {{"k", "final"}};
  ContextAppend append(writer, nullptr, few, std::move(options));
  append.start(engine_);
  EXPECT_TRUE(ended);
  EXPECT_TRUE(append.result().finished);
  EXPECT_FALSE(engine_.step());
  EXPECT_EQ(store_.show("a").metadata.at("k"), "final");
  EXPECT_EQ(store_.show("a").tail, few);
}

TEST_F(ContextAppendTest, WhatIsComingIsSaidBeforeItComes) {
  ContextWriter writer = create("a");
  AppendOptions options;
  options.first_metadata = ContextMetadata{{"k", "first"}};
  options.final_metadata = {{"k", "final"}};
  ContextAppend append(writer, nullptr, tokens_, std::move(options));
  append.start(engine_);
  EXPECT_EQ(store_.show("a").metadata.at("k"), "first");
  while (engine_.step()) {
  }
  EXPECT_EQ(store_.show("a").metadata.at("k"), "final");
}

// A limit on file sizes stands for a full disk: the same call fails in the same place.
TEST_F(ContextAppendTest, AFullDiskIsToldAsSuchAndTheRestGoesOn) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  {
    ContextWriter writer = create("a");
    writer.commit();
    ContextAppend append(writer, nullptr, tokens_, {});
    append.start(engine_);
    const rlimit small{1000, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    while (engine_.step()) {
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    EXPECT_TRUE(append.ended());
    EXPECT_THROW(append.result(), DiskFull);
  }
  EXPECT_EQ(store_.show("a").token_count(), 0);
  go_on("a", tokens_);
  EXPECT_TRUE(store_.verify("a").ok());
  EXPECT_EQ(store_.open_reader("a", binding_).tokens(), tokens_);
  engine_.check_integrity();
}

}  // namespace
}  // namespace mm
