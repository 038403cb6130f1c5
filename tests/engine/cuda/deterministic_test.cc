// --deterministic: the equalities of engine_test.cc bit for bit (docs/numerics.md).
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/runner.h"
#include "model/upload.h"
#include "tests/engine/golden.h"
#include "tests/engine/requests.h"

namespace mm {
namespace {

using testing::ask;
using testing::Drawn;
using testing::make_request;
using testing::random_ids;
using testing::run_all;
using Ids = std::vector<int32_t>;

struct Case {
  const char* name;
  ComputeType compute;
  bool graphs;
};

class CudaDeterministicTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
    model_ = copy_to_device(testing::load_named_model(GetParam().name), cuda_device());
    vocab_ = static_cast<int32_t>(model_.config.vocab_size);
  }

  static EngineOptions options(int sequences, int64_t tokens) {
    EngineOptions options;
    options.device = cuda_device();
    options.deterministic = true;
    options.graphs = GetParam().graphs;
    options.threads = 2;
    options.compute = GetParam().compute;
    options.kv_dtype = to_dtype(GetParam().compute);
    options.context_size = 1024;
    options.max_sequences = sequences;
    options.step_tokens = tokens;
    options.checkpoint_every = 256;
    return options;
  }

  /// A new engine, one request, all of its prompt in one step or two.
  Drawn alone(const Ids& prompt, int64_t tokens) const {
    Engine engine(model_, options(1, 1000));
    return ask(engine, prompt, tokens);
  }

  static void expect_same(const Drawn& got, const Drawn& want) {
    EXPECT_EQ(got.error, "");
    EXPECT_EQ(got.ids, want.ids);
    ASSERT_EQ(got.logits.size(), want.logits.size());
    for (size_t n = 0; n < want.logits.size(); ++n) {
      ASSERT_TRUE(got.logits[n] == want.logits[n])
          << "draw " << n << " differs by "
          << testing::max_difference(got.logits[n], want.logits[n]);
    }
  }

  Model model_;
  int32_t vocab_ = 0;
};

// Ends of a prompt of every kind: none, one row (a decoding step), few and many after a block.
TEST_P(CudaDeterministicTest, ChunkedEqualsWhole) {
  for (const int64_t length : {1, 2, 5, 63, 64, 65, 66, 130, 193, 400, 447, 449}) {
    const Ids prompt = random_ids(length, vocab_, static_cast<uint64_t>(length));
    const Drawn whole = alone(prompt, 4);
    for (const int64_t chunk : {65, 130, 200}) {
      SCOPED_TRACE(std::to_string(length) + " tokens in steps of " + std::to_string(chunk));
      Engine engine(model_, options(1, chunk));
      expect_same(ask(engine, prompt, 4), whole);
    }
  }
}

TEST_P(CudaDeterministicTest, CachedEqualsCold) {
  const Ids whole = random_ids(600, vocab_);
  for (const int64_t at : {64, 65, 256, 257, 511}) {
    for (const int64_t more : {1, 90}) {
      SCOPED_TRACE(std::to_string(at) + " and " + std::to_string(more));
      Engine engine(model_, options(4, 192));
      ask(engine, whole, 2);
      Ids branch(whole.begin(), whole.begin() + at);
      const Ids rest = random_ids(more, vocab_, 99);
      branch.insert(branch.end(), rest.begin(), rest.end());
      const Drawn cold = alone(branch, 3);
      for (int repeat = 0; repeat < 2; ++repeat) {
        const Drawn drawn = ask(engine, branch, 3);
        EXPECT_GE(drawn.usage.cached_tokens, at / 256 * 256);
        expect_same(drawn, cold);
      }
    }
  }
}

// Prompts between decodes, decodes of many lengths side by side, batches that shrink.
TEST_P(CudaDeterministicTest, BatchEqualsSingle) {
  Engine engine(model_, options(6, 192));
  const std::vector<int64_t> lengths = {1, 63, 64, 65, 200, 311, 129, 40};
  std::vector<Ids> prompts;
  std::vector<Drawn> drawn(lengths.size());
  for (size_t i = 0; i < lengths.size(); ++i) {
    prompts.push_back(random_ids(lengths[i], vocab_, i));
    engine.submit(make_request(prompts[i], 70 - 8 * static_cast<int64_t>(i), drawn[i]));
  }
  run_all(engine);
  EXPECT_EQ(engine.stats().preemptions, 0);
  for (size_t i = 0; i < prompts.size(); ++i) {
    SCOPED_TRACE(i);
    expect_same(drawn[i], alone(prompts[i], static_cast<int64_t>(drawn[i].ids.size())));
  }
}

TEST_P(CudaDeterministicTest, ARunnersChunksMakeNoDifference) {
  RunnerOptions o = testing::golden_options(GetParam().compute, 2, 1024);
  o.device = cuda_device();
  o.deterministic = true;
  o.graphs = GetParam().graphs;
  const Ids prompt = random_ids(385, vocab_);  // one row after six blocks
  std::vector<std::vector<float>> logits;
  for (const int64_t chunk : {1024, 64, 192}) {
    o.prefill_chunk = chunk;
    Runner runner(model_, o);
    const std::span<const float> row = runner.prefill(prompt);
    logits.emplace_back(row.begin(), row.end());
    EXPECT_TRUE(logits.back() == logits.front()) << chunk;
  }
  o.prefill_chunk = 100;
  EXPECT_THROW(Runner(model_, o), Error);
}

INSTANTIATE_TEST_SUITE_P(Models, CudaDeterministicTest,
                         ::testing::Values(Case{"tiny", ComputeType::kBf16, false},
                                           Case{"tiny", ComputeType::kBf16, true},
                                           Case{"tiny", ComputeType::kF32, false},
                                           Case{"tiny-hd64", ComputeType::kBf16, false},
                                           Case{"mini", ComputeType::kBf16, false},
                                           Case{"mini", ComputeType::kF32, true}),
                         [](const auto& info) {
                           std::string name = info.param.name;
                           name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
                           return name +
                                  (info.param.compute == ComputeType::kF32 ? "F32" : "Bf16") +
                                  (info.param.graphs ? "Graphs" : "");
                         });

}  // namespace
}  // namespace mm
