// The engine on a device: golden logits, and the equalities of engine_test.cc within bounds.
#include "engine/engine.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/context_append.h"
#include "engine/engine_loop.h"
#include "engine/perplexity.h"
#include "engine/runner.h"
#include "engine/sampler.h"
#include "engine/token_mask.h"
#include "model/upload.h"
#include "ops/token_draw.h"
#include "tests/cache/context_fixture.h"
#include "tests/engine/golden.h"
#include "tests/engine/requests.h"

namespace mm {
namespace {

using testing::Drawn;
using testing::make_request;
using testing::max_difference;
using testing::random_ids;
using testing::run_all;
using Ids = std::vector<int32_t>;

// Golden logits, f32 (docs/numerics.md).
constexpr double kGoldenBound = 2e-4;
// Two runs, each that close to the exact values.
constexpr double kEqualBound = 2 * kGoldenBound;

struct Case {
  const char* name;
  const char* golden;  ///< file below tests/golden
  std::vector<const char*> tags;
  const char* logits;  ///< name of the logits of a tag
};

const Case kCases[] = {
    {"tiny", "tiny/golden.safetensors", {"short", "block", "ragged"}, ".logits"},
    {"tiny-hd64", "tiny-hd64/golden.safetensors", {"short", "block", "ragged"}, ".logits"},
    {"mini", "mini/golden-int8.safetensors", {"story", "needle", "raw"}, ".logits_last8"}};

class CudaEngineTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
    model_ = copy_to_device(testing::load_named_model(GetParam().name), cuda_device());
    golden_ = std::make_unique<SafetensorsFile>(testing::golden_folder(GetParam().golden));
    vocab_ = static_cast<int32_t>(model_.config.vocab_size);
  }

  static EngineOptions options(int sequences = 4, int64_t tokens = 192) {
    EngineOptions options;
    options.device = cuda_device();
    options.threads = 2;
    options.compute = ComputeType::kF32;
    options.kv_dtype = DType::kF32;
    options.context_size = 1024;
    options.max_sequences = sequences;
    options.step_tokens = tokens;
    options.checkpoint_every = 256;
    return options;
  }

  static RunnerOptions runner_options(ComputeType compute, int64_t chunk) {
    RunnerOptions options = testing::golden_options(compute, 2, chunk);
    options.device = cuda_device();
    return options;
  }

  Ids golden_ids(const std::string& tag, const char* what = ".ids") const {
    return testing::read_ids(*golden_, tag + what);
  }
  std::vector<float> golden_logits(const std::string& tag) const {
    return testing::read_floats(*golden_, tag + GetParam().logits);
  }
  /// Logits of the rows that golden values exist for, in steps of `chunk`.
  std::vector<float> run_last_rows(Runner& runner, const Ids& ids, int64_t chunk,
                                   size_t floats) const {
    std::vector<int64_t> rows;
    const int64_t count = static_cast<int64_t>(floats) / vocab_;
    for (int64_t i = 0; i < count; ++i) {
      rows.push_back(static_cast<int64_t>(ids.size()) - count + i);
    }
    return testing::run_rows(runner, ids, chunk, rows);
  }

  /// The plain path on the device: one sequence, token by token where `tokens` are drawn.
  Drawn cold(const Ids& prompt, size_t tokens) const {
    Runner runner(model_, runner_options(ComputeType::kF32, 1000));
    Drawn drawn;
    std::span<const float> logits = runner.prefill(prompt);
    HostTokenDrawer drawer(vocab_);
    const TokenDraw greedy{.banned = model_.zero_rows};
    while (drawn.ids.size() < tokens) {
      drawn.logits.emplace_back(logits.begin(), logits.end());
      drawn.ids.push_back(drawer.draw(logits, greedy));
      if (drawn.ids.size() < tokens) {
        logits = runner.prefill({&drawn.ids.back(), 1});
      }
    }
    return drawn;
  }

  /// Draws may part where the two best ids are closer than the bound; nothing is comparable
  /// afterwards.
  void expect_cold(const Drawn& drawn, const Ids& prompt) const {
    EXPECT_EQ(drawn.error, "");
    ASSERT_FALSE(drawn.ids.empty());
    const Drawn want = cold(prompt, drawn.ids.size());
    for (size_t n = 0; n < drawn.ids.size(); ++n) {
      ASSERT_LE(max_difference(drawn.logits[n], want.logits[n]), kEqualBound)
          << "draw " << n << " after " << prompt.size() << " tokens";
      if (drawn.ids[n] != want.ids[n]) {
        const std::vector<float>& row = want.logits[n];
        ASSERT_LE(row[static_cast<size_t>(want.ids[n])] - row[static_cast<size_t>(drawn.ids[n])],
                  2 * kEqualBound);
        return;
      }
    }
  }

  Model model_;
  std::unique_ptr<SafetensorsFile> golden_;
  int32_t vocab_ = 0;
};

TEST_P(CudaEngineTest, RunnerReproducesGoldenLogits) {
  for (const char* tag : GetParam().tags) {
    for (const int64_t chunk : {64, 100, 1}) {
      SCOPED_TRACE(std::string(tag) + " in chunks of " + std::to_string(chunk));
      Runner runner(model_, runner_options(ComputeType::kF32, chunk));
      const std::vector<float> want = golden_logits(tag);
      const std::vector<float> got = run_last_rows(runner, golden_ids(tag), chunk, want.size());
      EXPECT_LE(max_difference(got, want), kGoldenBound);
    }
  }
}

TEST_P(CudaEngineTest, EngineDrawsTheGoldenTokens) {
  Engine engine(model_, options());
  std::vector<Drawn> drawn(GetParam().tags.size());
  for (size_t i = 0; i < drawn.size(); ++i) {
    const Ids greedy = golden_ids(GetParam().tags[i], ".greedy");
    ASSERT_FALSE(greedy.empty());
    engine.submit(make_request(golden_ids(GetParam().tags[i]), static_cast<int64_t>(greedy.size()),
                               drawn[i]));
  }
  run_all(engine);
  for (size_t i = 0; i < drawn.size(); ++i) {
    SCOPED_TRACE(GetParam().tags[i]);
    EXPECT_EQ(drawn[i].error, "");
    EXPECT_EQ(drawn[i].ids, golden_ids(GetParam().tags[i], ".greedy"));
    const std::vector<float> want = golden_logits(GetParam().tags[i]);
    EXPECT_LE(max_difference(drawn[i].logits[0], {want.end() - vocab_, want.end()}), kGoldenBound);
  }
}

// With the experts that f32 computation chose: a flipped near-tie would hide everything else.
TEST_P(CudaEngineTest, Bf16StaysWithinItsBound) {
  for (const char* tag : GetParam().tags) {
    SCOPED_TRACE(tag);
    std::vector<Ids> chosen;
    size_t next = 0;
    Probe record;
    record.route = [&](int, const TensorView& experts) {
      chosen.emplace_back(static_cast<size_t>(experts.numel()));
      copy_bytes(chosen.back().data(), Device{}, experts.data, experts.device, experts.bytes());
    };
    Probe force;
    force.route = [&](int, const TensorView& experts) {
      copy_bytes(experts.data, experts.device, chosen[next++].data(), Device{}, experts.bytes());
    };
    const std::vector<float> want = golden_logits(tag);
    Runner exact(model_, runner_options(ComputeType::kF32, 64));
    exact.set_probe(&record);
    run_last_rows(exact, golden_ids(tag), 64, want.size());
    Runner rounded(model_, runner_options(ComputeType::kBf16, 64));
    rounded.set_probe(&force);
    const std::vector<float> got = run_last_rows(rounded, golden_ids(tag), 64, want.size());
    EXPECT_LE(testing::relative_error(got, want), 1e-2);
  }
}

TEST_P(CudaEngineTest, BatchEqualsSingle) {
  Engine engine(model_, options(6));
  const std::vector<int64_t> lengths = {1, 63, 64, 65, 200, 311};
  std::vector<Ids> prompts;
  std::vector<Drawn> drawn(lengths.size());
  for (size_t i = 0; i < lengths.size(); ++i) {
    prompts.push_back(random_ids(lengths[i], vocab_, i));
    engine.submit(make_request(prompts[i], 5 + static_cast<int64_t>(i), drawn[i]));
  }
  run_all(engine);
  for (size_t i = 0; i < prompts.size(); ++i) {
    SCOPED_TRACE(i);
    expect_cold(drawn[i], prompts[i]);
    EXPECT_EQ(drawn[i].reason, FinishReason::kLength);
  }
}

/// Allows every third id, another third after each draw.
class ThirdsMask final : public TokenMask {
 public:
  explicit ThirdsMask(int32_t vocab) : vocab_(vocab) {}
  void find_allowed(std::span<uint64_t> allowed) override {
    std::fill(allowed.begin(), allowed.end(), 0);
    for (int32_t id = third_; id < vocab_; id += 3)
      allowed[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  }
  void accept(int32_t id) override { third_ = (id + 1) % 3; }
  bool must_end() const override { return false; }

 private:
  int32_t vocab_;
  int32_t third_ = 0;
};

/// Requests whose draws differ in what they depend on.
std::vector<SamplingParams> kinds_of_sampling() {
  std::vector<SamplingParams> kinds(6);
  for (size_t i = 1; i < kinds.size(); ++i) {
    kinds[i].temperature = 1;
    kinds[i].seed = 100 + i;
  }
  kinds[2].top_p = 0.9F;
  kinds[3].top_k = 40;
  kinds[3].top_p = 0.95F;
  kinds[3].repetition_penalty = 1.2F;
  kinds[4].min_p = 0.02F;
  kinds[4].presence_penalty = 0.5F;
  kinds[4].frequency_penalty = 0.3F;
  kinds[5].temperature = 1.5F;
  kinds[5].top_p = 0.8F;
  kinds[5].repetition_penalty = 1.1F;
  kinds[5].penalty_window = -1;
  kinds[5].logit_bias = {{5, 3}, {9, -100}};
  return kinds;
}

// What the host draws, with the same seeds, from the logits that each token came with.
TEST_P(CudaEngineTest, DrawsAreThoseOfTheHost) {
  const std::vector<SamplingParams> kinds = kinds_of_sampling();
  for (const bool graphs : {false, true}) {
    EngineOptions o = options(6);
    o.graphs = graphs;
    Engine engine(model_, o);
    std::vector<Drawn> drawn(2 * kinds.size());
    for (size_t i = 0; i < drawn.size(); ++i) {
      EngineRequest request = make_request(random_ids(30, vocab_, i), 25, drawn[i]);
      request.sampling = kinds[i / 2];
      if (i % 2 == 1)
        request.mask = std::make_shared<ThirdsMask>(vocab_);
      engine.submit(std::move(request));
    }
    run_all(engine);
    HostTokenDrawer drawer(vocab_);
    for (size_t i = 0; i < drawn.size(); ++i) {
      SCOPED_TRACE(i);
      EXPECT_EQ(drawn[i].error, "");
      ASSERT_EQ(drawn[i].ids.size(), 25U);
      Sampler sampler(kinds[i / 2], vocab_, model_.zero_rows);
      sampler.accept_prompt(random_ids(30, vocab_, i));
      ThirdsMask mask(vocab_);
      std::vector<uint64_t> allowed(i % 2 == 1 ? static_cast<size_t>(vocab_ + 63) / 64 : 0);
      for (size_t n = 0; n < drawn[i].ids.size(); ++n) {
        if (i % 2 == 1)
          mask.find_allowed(allowed);
        ASSERT_EQ(drawn[i].ids[n], drawer.draw(drawn[i].logits[n], sampler.next(allowed))) << n;
        sampler.accept(drawn[i].ids[n]);
        mask.accept(drawn[i].ids[n]);
      }
    }
  }
}

// Logits that nobody asks for do not leave the device, and change nothing.
TEST_P(CudaEngineTest, DrawsDoNotDependOnWhoWantsLogits) {
  std::vector<std::vector<Drawn>> drawn(2, std::vector<Drawn>(6));
  for (const bool wanted : {false, true}) {
    Engine engine(model_, options(6));
    for (size_t i = 0; i < drawn[0].size(); ++i) {
      EngineRequest request = make_request(random_ids(30, vocab_, i), 20, drawn[wanted ? 1 : 0][i]);
      request.sampling = kinds_of_sampling()[i];
      request.wants_logits = wanted;
      engine.submit(std::move(request));
    }
    run_all(engine);
  }
  for (size_t i = 0; i < drawn[0].size(); ++i) {
    EXPECT_EQ(drawn[0][i].error, "");
    EXPECT_EQ(drawn[0][i].ids, drawn[1][i].ids) << i;
    EXPECT_TRUE(drawn[0][i].logits.at(0).empty());
    EXPECT_FALSE(drawn[1][i].logits.at(0).empty());
  }
}

// The same kernels with the same arguments, played or called, one after the other or beginning
// while the one before ends: the same bits. Tables of 8 and of 16 blocks, batches that shrink,
// prompts between decodes.
TEST_P(CudaEngineTest, GraphsAndOverlapEqualCallsInOrder) {
  for (const ComputeType compute : {ComputeType::kF32, ComputeType::kBf16}) {
    std::vector<Drawn> want;
    for (const auto& [graphs, overlap] :
         {std::pair(false, false), {false, true}, {true, false}, {true, true}}) {
      EngineOptions o = options(3);
      o.compute = compute;
      o.kv_dtype = to_dtype(compute);
      o.graphs = graphs;
      o.overlap = overlap;
      Engine engine(model_, o);
      std::vector<Drawn> drawn(4);
      for (size_t i = 0; i < drawn.size(); ++i) {
        engine.submit(make_request(random_ids(470 + static_cast<int64_t>(i) * 13, vocab_, i),
                                   150 - static_cast<int64_t>(i) * 33, drawn[i]));
      }
      run_all(engine);
      if (want.empty())
        want = drawn;
      for (size_t i = 0; i < drawn.size(); ++i) {
        SCOPED_TRACE(fmt::format("sequence {}, graphs {}, overlap {}", i, graphs, overlap));
        EXPECT_EQ(drawn[i].error, "");
        EXPECT_EQ(drawn[i].ids, want[i].ids);
        EXPECT_TRUE(drawn[i].logits == want[i].logits);
      }
    }
  }
}

TEST_P(CudaEngineTest, ChunkedEqualsWhole) {
  const Ids prompt = random_ids(400, vocab_);
  for (const int64_t chunk : {65, 100, 128, 1000}) {
    SCOPED_TRACE(chunk);
    Engine engine(model_, options(1, chunk));
    expect_cold(testing::ask(engine, prompt, 3), prompt);
  }
}

TEST_P(CudaEngineTest, CachedEqualsCold) {
  const Ids whole = random_ids(600, vocab_);
  for (const int64_t at : {1, 63, 64, 65, 256, 257, 511}) {
    SCOPED_TRACE(at);
    Engine engine(model_, options());
    testing::ask(engine, whole, 2);
    Ids branch(whole.begin(), whole.begin() + at);
    const Ids rest = random_ids(90, vocab_, 99);
    branch.insert(branch.end(), rest.begin(), rest.end());
    for (int repeat = 0; repeat < 2; ++repeat) {
      const Drawn drawn = testing::ask(engine, branch, 3);
      expect_cold(drawn, branch);
      EXPECT_GE(drawn.usage.cached_tokens, repeat == 0 ? at / 256 * 256 : (at + 89) / 64 * 64);
    }
  }
}

TEST_P(CudaEngineTest, PreemptedEqualsNotPreempted) {
  EngineOptions o = options(4);
  o.context_size = 448;
  {
    Engine roomy(model_, o);
    const CacheStorage& storage = roomy.executor().storage();
    const CacheSizes least{.pages = 7, .live = 4, .checkpoints = 1};
    o.memory_bytes = roomy.memory_bytes() - storage.sizes().bytes(storage.shape()) +
                     least.bytes(storage.shape());
  }
  Engine engine(model_, o);
  ASSERT_EQ(engine.stats().pages, 7);  // four sequences want up to 24
  std::vector<Ids> prompts;
  std::vector<Drawn> drawn(4);
  for (size_t i = 0; i < drawn.size(); ++i) {
    prompts.push_back(random_ids(50 + static_cast<int64_t>(i), vocab_, i));
    engine.submit(make_request(prompts[i], 380, drawn[i]));
  }
  run_all(engine);
  EXPECT_GT(engine.stats().preemptions, 0);
  for (size_t i = 0; i < prompts.size(); ++i) {
    SCOPED_TRACE(i);
    expect_cold(drawn[i], prompts[i]);
  }
}

TEST_P(CudaEngineTest, AContextIsSavedLoadedAndGoneOnFrom) {
  const TemporaryFolder folder;
  const ContextStore store(folder.path());
  const Ids text = random_ids(500, vocab_);
  ContextBinding binding;
  {
    Engine engine(model_, options(1));
    binding = context_binding(engine, "model");
    ContextWriter writer =
        store.create("a", {.binding = binding,
                           .backend = engine.backend_name(),
                           .codec = make_state_codec(model_, StateFormat::kF32, 0),
                           .metadata = {}});
    ASSERT_TRUE(append_to_context(engine, writer, nullptr, text, {}).finished);
  }
  Engine engine(model_, options(1));
  const ContextReader reader = store.open_reader("a", binding);
  EXPECT_EQ(reader.tokens(), text);
  const LoadedContext loaded(engine, reader, reader.token_count());
  EXPECT_EQ(loaded.position(), 448);
  Ids prompt = text;
  const Ids rest = random_ids(40, vocab_, 5);
  prompt.insert(prompt.end(), rest.begin(), rest.end());
  const Drawn drawn = testing::ask(engine, prompt, 4);
  EXPECT_EQ(drawn.usage.cached_tokens, 448);
  expect_cold(drawn, prompt);
}

TEST_P(CudaEngineTest, PagesOfCodesAreSavedAndLoaded) {
  EngineOptions o = options(1);
  o.kv_dtype = DType::kI8;
  const TemporaryFolder folder;
  const ContextStore store(folder.path());
  const Ids text = random_ids(320, vocab_);
  Engine first(model_, o);
  const ContextBinding binding = context_binding(first, "model");
  ContextWriter writer = store.create("a", {.binding = binding,
                                            .backend = first.backend_name(),
                                            .codec = make_state_codec(model_, StateFormat::kF32, 0),
                                            .metadata = {}});
  ASSERT_TRUE(append_to_context(first, writer, nullptr, text, {}).finished);
  Ids prompt = text;
  const Ids rest = random_ids(20, vocab_, 5);
  prompt.insert(prompt.end(), rest.begin(), rest.end());
  const Drawn kept = testing::ask(first, prompt, 1);
  Engine second(model_, o);
  const ContextReader reader = store.open_reader("a", binding);
  const LoadedContext loaded(second, reader, reader.token_count());
  const Drawn read = testing::ask(second, prompt, 1);
  EXPECT_EQ(kept.usage.cached_tokens, 320);
  EXPECT_EQ(read.usage.cached_tokens, 320);
  // The same pages and states, the same steps after them: the same bits.
  EXPECT_EQ(max_difference(read.logits.at(0), kept.logits.at(0)), 0);
}

TEST_P(CudaEngineTest, PerplexityIsThatOfTheHost) {
  const Ids ids = random_ids(300, vocab_);
  RunnerOptions o = runner_options(ComputeType::kF32, 128);
  Runner device(model_, o);
  const Model on_host = testing::load_named_model(GetParam().name);
  o.device = {};
  Runner host(on_host, o);
  // A log-likelihood moves by at most twice what a logit does.
  EXPECT_NEAR(measure_perplexity(device, ids, 128).nats_per_token,
              measure_perplexity(host, ids, 128).nats_per_token, 2 * kEqualBound);
}

TEST_P(CudaEngineTest, StepsMayComeFromAnotherThread) {
  Engine engine(model_, options(1));
  Drawn drawn;
  const Ids prompt = random_ids(100, vocab_);
  {
    EngineLoop loop(engine);
    loop.submit(make_request(prompt, 4, drawn));
    loop.drain();
  }
  expect_cold(drawn, prompt);
}

TEST_P(CudaEngineTest, ABudgetBeyondTheDeviceIsRefused) {
  EngineOptions o = options(1);
  o.memory_bytes = int64_t{1} << 50;
  try {
    const Engine engine(model_, o);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kTooLarge) << error.what();
  }
}

// Without a size or a budget an engine takes what is free.
TEST_P(CudaEngineTest, NoBudgetIsWhatIsFree) {
  EngineOptions o = options(1);
  o.context_size = 0;
  const int64_t free = device_free_bytes(cuda_device());
  const Engine engine(model_, o);
  EXPECT_LE(engine.memory_bytes(), free);
  EXPECT_GE(engine.memory_bytes(), free / 2);
}

INSTANTIATE_TEST_SUITE_P(Models, CudaEngineTest, ::testing::ValuesIn(kCases), [](const auto& info) {
  std::string name = info.param.name;
  name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
  return name;
});

}  // namespace
}  // namespace mm
