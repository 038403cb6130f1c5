// What keeping keys and values in fewer bits costs, end to end: logits of the golden models and the
// bundled model's perplexity, against keys and values in f32. Everything else computes in f32.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "engine/perplexity.h"
#include "model/weights.h"
#include "tests/engine/golden.h"
#include "tests/engine/routing.h"
#include "text/tokenizer.h"

namespace mm {
namespace {

// docs/numerics.md derives the bounds.
struct KvBound {
  DType dtype;
  double row;  ///< what rounding may do to a row of keys or values, relative to its norm
};
constexpr KvBound kBounds[] = {
    {DType::kBf16, 0x1p-9}, {DType::kI8, 3.0 / 254}, {DType::kF8E4M3, 0x1p-4}};
constexpr double kPerplexityBound = 1e-3;  // relative change

RunnerOptions options_of(DType kv_dtype) {
  RunnerOptions options = testing::golden_options(ComputeType::kF32, 2, 256);
  options.kv_dtype = kv_dtype;
  return options;
}

double logit_bound(const KvBound& bound, const ModelConfig& config) {
  const auto layers =
      std::count(config.layers.begin(), config.layers.end(), AttentionKind::kSoftmax);
  return bound.row * std::sqrt(static_cast<double>(layers));
}

class KvDtypeTest : public ::testing::TestWithParam<const char*> {};

TEST_P(KvDtypeTest, SlowLogitsStayInTheBound) {
  const Model model = load_model(testing::golden_folder(GetParam()));
  for (const char* tag : {"short", "block", "ragged", "long"}) {
    const testing::GoldenCase golden =
        testing::read_golden(GetParam(), tag, model.config.vocab_size);
    const RunnerOptions exact = options_of(DType::kF32);
    const testing::Routing routing = testing::record_routing(model, golden.ids, exact);
    const std::vector<float> want = testing::run_forced(model, golden, routing, exact);
    for (const KvBound& bound : kBounds) {
      const std::vector<float> got =
          testing::run_forced(model, golden, routing, options_of(bound.dtype));
      const double error = testing::relative_error(got, want);
      std::printf("%s %s %s: relative error %.2e\n", GetParam(), tag, to_string(bound.dtype),
                  error);
      EXPECT_LE(error, logit_bound(bound, model.config)) << tag << " " << to_string(bound.dtype);
      EXPECT_GT(error, 0);
    }
  }
}

TEST_P(KvDtypeTest, CodesAreBitEqualForEveryChunkAndThreadCount) {
  const Model model = load_model(testing::golden_folder(GetParam()));
  const testing::GoldenCase golden =
      testing::read_golden(GetParam(), "ragged", model.config.vocab_size);
  for (const DType dtype : {DType::kI8, DType::kF8E4M3}) {
    std::vector<float> first;
    for (const int threads : {1, 2, 3}) {
      for (const int64_t chunk : {1, 7, 64, 256, 1000}) {
        RunnerOptions options = testing::golden_options(ComputeType::kBf16, threads, chunk);
        options.kv_dtype = dtype;
        Runner runner(model, options);
        const std::vector<float> logits = testing::run_rows(runner, golden.ids, chunk, golden.rows);
        if (first.empty()) {
          first = logits;
        }
        EXPECT_TRUE(logits == first)
            << to_string(dtype) << ", chunk " << chunk << ", threads " << threads;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, KvDtypeTest, ::testing::Values("tiny", "tiny-hd64"),
                         [](const auto& info) {
                           return std::string(info.param) == "tiny" ? "Tiny" : "TinyHd64";
                         });

TEST(KvDtypePerplexityTest, SlowHeldOutTextStaysInTheBound) {
  const std::string root = MM_SOURCE_DIR;
  const Model model = load_model(root + "/models/mini");
  const MappedFile text(root + "/tests/data/heldout.txt");
  const std::vector<int32_t> ids = Tokenizer::load(root + "/models/mini").encode(text.text());
  const auto perplexity = [&](DType dtype) {
    Runner runner(model, options_of(dtype));
    return measure_perplexity(runner, ids, 256).value();
  };
  const double exact = perplexity(DType::kF32);
  std::printf("mini, %zu tokens: F32 perplexity %.5f\n", ids.size(), exact);
  for (const KvBound& bound : kBounds) {
    const double change = perplexity(bound.dtype) / exact - 1;
    std::printf("mini: %s perplexity %+.4f %%\n", to_string(bound.dtype), 100 * change);
    EXPECT_LE(std::abs(change), kPerplexityBound) << to_string(bound.dtype);
  }
}

}  // namespace
}  // namespace mm
