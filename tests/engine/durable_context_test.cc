/// Saved, closed, opened and gone on from: the bits of a run that never stopped.
#include "engine/durable_context.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/context_append.h"
#include "tests/engine/golden.h"

namespace mm {
namespace {

using Ids = std::vector<int32_t>;

constexpr const char* kHash = "0123456789abcdef0123456789abcdef";

using testing::random_ids;

class DurableContextTest : public ::testing::TestWithParam<std::string> {
 protected:
  DurableContextTest()
      : model_(testing::load_named_model(GetParam())),
        root_(std::filesystem::temp_directory_path() /
              ("mm_durable_" + std::to_string(::getpid()) + "_" + GetParam())),
        store_(root_.string()) {}
  ~DurableContextTest() override { std::filesystem::remove_all(root_); }

  EngineOptions options(DType kv = DType::kBf16) const {
    EngineOptions options;
    options.threads = 2;
    options.kv_dtype = kv;
    options.context_size = 2048;
    options.step_tokens = 300;
    options.checkpoint_every = 256;
    return options;
  }

  AppendResult append(Engine& engine, ContextWriter& writer, const Ids& tokens) {
    std::optional<ContextReader> stored;
    if (writer.token_count() > 0) {
      stored.emplace(store_.open_reader("c", binding(engine)));
    }
    return append_to_context(engine, writer, stored ? &*stored : nullptr, tokens, {});
  }
  ContextBinding binding(const Engine& engine) const { return context_binding(engine, kHash); }

  void create(const Ids& tokens, const EngineOptions& o, const StateCodec& codec = {}) {
    Engine engine(model_, o);
    ContextWriter writer = store_.create(
        "c", {.binding = binding(engine), .backend = "test", .codec = codec, .metadata = {}});
    EXPECT_TRUE(append(engine, writer, tokens).finished);
  }

  /// Logits after the last of `ids`, by an engine that knows nothing but perhaps the context.
  std::vector<float> logits(const Ids& ids, const EngineOptions& o, bool from_context,
                            Usage* usage = nullptr) {
    Engine engine(model_, o);
    std::optional<ContextReader> reader;
    std::optional<LoadedContext> loaded;
    if (from_context) {
      reader.emplace(store_.open_reader("c", binding(engine)));
      loaded.emplace(engine, *reader, static_cast<int64_t>(ids.size()) - 1);
    }
    std::vector<float> row;
    EngineRequest request{.prompt = ids, .max_tokens = 1, .wants_logits = true};
    request.on_event = [&](const Event& event) {
      if (event.kind == Event::Kind::kToken) {
        row.assign(event.logits.begin(), event.logits.end());
      }
      EXPECT_EQ(event.error, "");
      if (usage != nullptr) {
        *usage = event.usage;
      }
    };
    engine.submit(std::move(request));
    while (engine.step()) {
    }
    return row;
  }

  Model model_;
  std::filesystem::path root_;
  ContextStore store_;
};

TEST_P(DurableContextTest, LoadedEqualsNeverSaved) {
  for (const DType kv : {DType::kBf16, DType::kI8, DType::kF8E4M3}) {
    const Ids stored = random_ids(700, model_.config.vocab_size, 1);
    create(stored, options(kv));
    Ids ids = stored;
    const Ids question = random_ids(30, model_.config.vocab_size, 2);
    ids.insert(ids.end(), question.begin(), question.end());
    Usage usage;
    EXPECT_TRUE(logits(ids, options(kv), true, &usage) == logits(ids, options(kv), false));
    EXPECT_EQ(usage.cached_tokens, 640);
    store_.remove("c");
  }
}

TEST_P(DurableContextTest, AppendedInPartsEqualsWhole) {
  const Ids whole = random_ids(900, model_.config.vocab_size, 1);
  for (const int64_t first : {1, 63, 64, 65, 256, 300, 511}) {
    create({whole.begin(), whole.begin() + first}, options());
    {
      Engine engine(model_, options());
      ContextWriter writer = store_.open_writer("c", binding(engine));
      EXPECT_TRUE(append(engine, writer, whole).finished);
      EXPECT_EQ(writer.token_count(), 900);
    }
    Ids ids = whole;
    ids.push_back(3);
    Usage usage;
    EXPECT_TRUE(logits(ids, options(), true, &usage) == logits(ids, options(), false)) << first;
    EXPECT_EQ(usage.cached_tokens, 896);
    store_.remove("c");
  }
}

TEST_P(DurableContextTest, CutAnywhereEqualsCold) {
  const Ids whole = random_ids(600, model_.config.vocab_size, 1);
  create(whole, options());
  for (const int64_t at : {1, 64, 100, 255, 256, 257, 300, 512, 599}) {
    store_.fork("c", "f", at);
    Engine engine(model_, options());
    const ContextReader reader = store_.open_reader("f", binding(engine));
    EXPECT_EQ(reader.token_count(), at);
    const LoadedContext loaded(engine, reader, at);
    EXPECT_EQ(loaded.position(), at >= 576 ? 576 : at >= 512 ? 512 : at >= 256 ? 256 : 0);
    store_.remove("f");
  }
}

TEST_P(DurableContextTest, ACutIsReplayedOnce) {
  const Ids whole = random_ids(600, model_.config.vocab_size, 1);
  for (const int64_t end : {500, 511, 700}) {
    create(whole, options());
    {
      Engine engine(model_, options());
      ContextWriter writer = store_.open_writer("c", binding(engine));
      writer.truncate(500);  // in a segment from 256 to 512
      writer.commit();
      EXPECT_FALSE(writer.manifest().ends_in_state());
      Ids grown(whole.begin(), whole.begin() + 500);
      const Ids more = random_ids(end - 500, model_.config.vocab_size, 2);
      grown.insert(grown.end(), more.begin(), more.end());
      const AppendResult result = append(engine, writer, grown);
      EXPECT_TRUE(result.finished);
      EXPECT_EQ(result.usage.cached_tokens, 256);
      EXPECT_EQ(result.usage.replayed_tokens, 448 - 256);
      EXPECT_EQ(result.usage.computed_tokens, end / 64 * 64 - 448);
      EXPECT_EQ(writer.token_count(), end);
    }
    EXPECT_TRUE(store_.verify("c").ok());
    const Ids ids(whole.begin(), whole.begin() + 460);
    Usage usage;
    EXPECT_TRUE(logits(ids, options(), true, &usage) == logits(ids, options(), false)) << end;
    EXPECT_EQ(usage.cached_tokens, 448);
    store_.remove("c");
  }
}

TEST_P(DurableContextTest, StoppedHalfWayGoesOn) {
  const Ids whole = random_ids(1500, model_.config.vocab_size, 1);
  int steps = 0;
  {
    Engine engine(model_, options());
    ContextWriter writer = store_.create(
        "c", {.binding = binding(engine), .backend = "test", .codec = {}, .metadata = {}});
    AppendOptions append_options;
    append_options.cancelled = [&] { return ++steps > 4; };
    EXPECT_FALSE(append_to_context(engine, writer, nullptr, whole, append_options).finished);
  }
  Engine engine(model_, options());
  ContextWriter writer = store_.open_writer("c", binding(engine));
  const int64_t begin = writer.token_count();
  EXPECT_GT(begin, 0);
  EXPECT_LT(begin, 1500);
  const AppendResult result = append(engine, writer, whole);
  EXPECT_TRUE(result.finished);
  EXPECT_EQ(result.usage.cached_tokens, begin);
  Ids ids = whole;
  ids.push_back(3);
  EXPECT_TRUE(logits(ids, options(), true) == logits(ids, options(), false));
}

TEST_P(DurableContextTest, OtherTokensAreRefused) {
  const Ids stored = random_ids(200, model_.config.vocab_size, 1);
  create(stored, options());
  Engine engine(model_, options());
  ContextWriter writer = store_.open_writer("c", binding(engine));
  Ids other = stored;
  other[150] = (other[150] + 1) % 100;
  EXPECT_THROW(append(engine, writer, other), Error);
  EXPECT_THROW(append(engine, writer, {stored.begin(), stored.begin() + 100}), Error);
  EXPECT_EQ(store_.show("c").token_count(), 200);
}

// docs/numerics.md, "Compressed states".
TEST_P(DurableContextTest, CompressedStatesStayInTheirBounds) {
  const Ids stored = random_ids(1024, model_.config.vocab_size, 1);
  Ids ids = stored;
  const Ids question = random_ids(40, model_.config.vocab_size, 2);
  ids.insert(ids.end(), question.begin(), question.end());
  const std::vector<float> exact = logits(ids, options(), false);
  struct Case {
    StateFormat format;
    int64_t replay;
    double bound;
  };
  for (const Case& c : {Case{StateFormat::kF32, 0, 0}, Case{StateFormat::kBf16, 0, 1e-2},
                        Case{StateFormat::kInt8, 0, 5e-2}, Case{StateFormat::kF32, 256, 1e-1}}) {
    create(stored, options(), make_state_codec(model_, c.format, c.replay));
    const int64_t bytes = store_.show("c").bytes();
    const double error = testing::relative_error(logits(ids, options(), true), exact);
    EXPECT_LE(error, c.bound) << to_string(c.format) << " " << c.replay;
    RecordProperty(std::string(to_string(c.format)) + std::to_string(c.replay),
                   std::to_string(error) + " in " + std::to_string(bytes));
    std::printf("%s %s replay %d: error %.2e, %lld bytes\n", GetParam().c_str(),
                to_string(c.format), static_cast<int>(c.replay), error,
                static_cast<long long>(bytes));
    store_.remove("c");
  }
}

std::string name_of(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
  return name;
}

INSTANTIATE_TEST_SUITE_P(Models, DurableContextTest, ::testing::Values("tiny", "tiny-hd64"),
                         name_of);
// Sanitizer builds leave the larger model out.
INSTANTIATE_TEST_SUITE_P(SlowModels, DurableContextTest, ::testing::Values("mini"), name_of);

}  // namespace
}  // namespace mm
