#include "engine/runner.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "model/weights.h"
#include "tests/engine/golden.h"
#include "tests/engine/routing.h"

namespace mm {
namespace {

using testing::golden_folder;
using testing::golden_options;
using testing::GoldenCase;
using testing::read_golden;
using testing::record_routing;
using testing::Routing;
using testing::run_forced;
using testing::run_rows;

// docs/numerics.md: f32 compute against the f32 reference.
constexpr double kF32Bound = 2e-4;
// docs/numerics.md: bf16 compute with the reference's routing, relative to the logits' norm.
constexpr double kBf16Bound = 1e-2;
constexpr double kRoutingBound = 0.003;

constexpr int64_t kChunks[] = {1, 7, 64, 256, 1000};

RunnerOptions usual_options(ComputeType compute) {
  return golden_options(compute, 2, 256);
}

class GoldenTest : public ::testing::TestWithParam<const char*> {
 protected:
  GoldenTest() : model_(load_model(golden_folder(GetParam()))) {}
  GoldenCase golden(const std::string& tag) const {
    return read_golden(GetParam(), tag, model_.config.vocab_size);
  }
  Model model_;
};

/// f32 logits stay in the bound, and have the same bits for every chunk size and thread count.
void expect_f32_parity(const Model& model, const GoldenCase& golden) {
  ASSERT_FALSE(golden.logits.empty());
  std::vector<float> first;
  for (const int threads : {1, 2}) {
    for (const int64_t chunk : kChunks) {
      Runner runner(model, golden_options(ComputeType::kF32, threads, chunk));
      const std::vector<float> logits = run_rows(runner, golden.ids, chunk, golden.rows);
      EXPECT_LE(testing::max_difference(logits, golden.logits), kF32Bound)
          << "chunk " << chunk << ", threads " << threads;
      if (first.empty()) {
        first = logits;
      }
      EXPECT_TRUE(logits == first) << "bits differ at chunk " << chunk << ", threads " << threads;
    }
  }
}

TEST_P(GoldenTest, F32LogitsMatchForEveryChunkAndThreadCountBitForBit) {
  for (const char* tag : {"short", "block", "ragged"}) {
    SCOPED_TRACE(tag);
    expect_f32_parity(model_, golden(tag));
  }
}

TEST_P(GoldenTest, SlowF32LogitsMatchOn6000TokensBitForBit) {
  expect_f32_parity(model_, golden("long"));
}

TEST_P(GoldenTest, ReferenceBackendMatches) {
  for (const char* tag : {"short", "block"}) {
    const GoldenCase golden = this->golden(tag);
    RunnerOptions options = golden_options(ComputeType::kF32, 1, 100);
    options.reference = true;
    Runner runner(model_, options);
    EXPECT_LE(
        testing::max_difference(run_rows(runner, golden.ids, 100, golden.rows), golden.logits),
        kF32Bound)
        << tag;
  }
}

TEST_P(GoldenTest, GreedyIdsAndTheLogitsAfterThemMatch) {
  for (const char* tag : {"short", "block", "ragged"}) {
    const GoldenCase golden = this->golden(tag);
    Runner runner(model_, golden_options(ComputeType::kF32, 2, 256));
    const testing::GreedyRun run = testing::run_greedy(runner, golden.ids, golden.greedy.size());
    EXPECT_EQ(run.ids, golden.greedy) << tag;
    EXPECT_LE(testing::max_difference(run.last_logits, golden.greedy_last_logits), kF32Bound);
  }
}

TEST_P(GoldenTest, HiddenStatesMatchLayerByLayer) {
  const SafetensorsFile file(golden_folder(GetParam()) + "/golden.safetensors");
  const std::vector<float> want = testing::read_floats(file, "short.hidden");
  const std::vector<int32_t> ids = testing::read_ids(file, "short.ids");
  std::vector<float> got;
  Probe probe;
  probe.observe = [&](ProbePoint point, int layer, const TensorView& tensor) {
    // The golden file ends with the final norm in place of the last layer's raw output.
    const bool last = point == ProbePoint::kLayer && layer + 1 == model_.config.num_layers();
    if (point == ProbePoint::kRouterLogits || last) {
      return;
    }
    got.insert(got.end(), tensor.ptr<float>(), tensor.ptr<float>() + tensor.numel());
  };
  Runner runner(model_, golden_options(ComputeType::kF32, 1, 64));
  runner.set_probe(&probe);
  runner.step(ids, static_cast<int64_t>(ids.size()));
  ASSERT_EQ(got.size(), want.size());
  EXPECT_LE(testing::max_difference(got, want), kF32Bound);
}

TEST_P(GoldenTest, SlowBf16WithForcedRoutingStaysInTheBound) {
  for (const char* tag : {"short", "block", "ragged", "long"}) {
    const GoldenCase golden = this->golden(tag);
    const Routing routing = record_routing(model_, golden.ids, usual_options(ComputeType::kF32));
    const double error = testing::relative_error(
        run_forced(model_, golden, routing, usual_options(ComputeType::kBf16)), golden.logits);
    RecordProperty(std::string(tag) + "_relative_error", std::to_string(error));
    EXPECT_LE(error, kBf16Bound) << tag;
  }
}

/// Probability gap between the kept and the first dropped expert of one router row.
double routing_gap(const float* logits, int experts, int kept) {
  std::vector<double> p(logits, logits + experts);
  double total = 0;
  const double top = *std::max_element(p.begin(), p.end());
  for (double& x : p) {
    x = std::exp(x - top);
    total += x;
  }
  std::sort(p.begin(), p.end(), std::greater<>());
  return (p[static_cast<size_t>(kept - 1)] - p[static_cast<size_t>(kept)]) / total;
}

/// Choices, compared as sets, that differ between two runs of one case.
struct RoutingDifference {
  int64_t differing = 0;
  int64_t total = 0;
  std::string report;  ///< one line per difference, with the probability gap of the exact choice
};

std::vector<int32_t> sorted_choice(const std::vector<int32_t>& ids, int64_t token, int kept) {
  std::vector<int32_t> choice(ids.begin() + token * kept, ids.begin() + (token + 1) * kept);
  std::sort(choice.begin(), choice.end());
  return choice;
}

RoutingDifference compare_routing(const ModelConfig& config, const Routing& exact,
                                  const Routing& rounded) {
  RoutingDifference result;
  const int kept = config.experts_per_token;
  for (size_t l = 0; l < exact.layers.size(); ++l) {
    const int64_t tokens = static_cast<int64_t>(exact.layers[l].size()) / kept;
    for (int64_t t = 0; t < tokens; ++t, ++result.total) {
      if (sorted_choice(exact.layers[l], t, kept) == sorted_choice(rounded.layers[l], t, kept)) {
        continue;
      }
      ++result.differing;
      const float* logits = exact.logits[l].data() + t * config.num_experts;
      result.report += fmt::format("  layer {} token {}: gap {:.2e}\n", l, t,
                                   routing_gap(logits, config.num_experts, kept));
    }
  }
  return result;
}

// The bound is on all cases of a model together: 0.3 % of the shortest is less than one choice. A
// differing choice changes what later layers and tokens see, and what follows from it counts too.
TEST_P(GoldenTest, SlowBf16RoutingRarelyDiffers) {
  int64_t differing = 0;
  int64_t total = 0;
  for (const char* tag : {"short", "block", "ragged", "long"}) {
    const GoldenCase golden = this->golden(tag);
    const RoutingDifference difference = compare_routing(
        model_.config, record_routing(model_, golden.ids, usual_options(ComputeType::kF32)),
        record_routing(model_, golden.ids, usual_options(ComputeType::kBf16)));
    std::printf("%s %s: %lld of %lld routing choices differ\n%s", GetParam(), tag,
                static_cast<long long>(difference.differing),
                static_cast<long long>(difference.total), difference.report.c_str());
    differing += difference.differing;
    total += difference.total;
  }
  EXPECT_LE(static_cast<double>(differing), kRoutingBound * static_cast<double>(total));
}

TEST_P(GoldenTest, Bf16IsBitEqualForEveryChunkAndThreadCount) {
  const GoldenCase golden = this->golden("ragged");
  std::vector<float> first;
  for (const int threads : {1, 2, 3}) {
    for (const int64_t chunk : kChunks) {
      Runner runner(model_, golden_options(ComputeType::kBf16, threads, chunk));
      const std::vector<float> logits = run_rows(runner, golden.ids, chunk, golden.rows);
      if (first.empty()) {
        first = logits;
      }
      EXPECT_TRUE(logits == first) << "chunk " << chunk << ", threads " << threads;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTest, ::testing::Values("tiny", "tiny-hd64"),
                         [](const auto& info) {
                           return std::string(info.param) == "tiny" ? "Tiny" : "TinyHd64";
                         });

TEST(RunnerTest, ResetForgetsEverything) {
  const Model model = load_model(golden_folder("tiny"));
  const GoldenCase golden = read_golden("tiny", "block", model.config.vocab_size);
  Runner runner(model, golden_options(ComputeType::kF32, 2, 100));
  const std::vector<float> first = run_rows(runner, golden.ids, 100, golden.rows);
  runner.reset();
  EXPECT_EQ(runner.position(), 0);
  EXPECT_TRUE(run_rows(runner, golden.ids, 100, golden.rows) == first);
}

TEST(RunnerTest, RefusesBadIdsAndOverflowAndKeepsTheSequence) {
  const Model model = load_model(golden_folder("tiny"));
  RunnerOptions options = golden_options(ComputeType::kF32, 1, 8);
  options.context_size = 10;
  Runner runner(model, options);
  runner.prefill(std::vector<int32_t>{5, 6, 7});
  const std::vector<int32_t> bad_cases[] = {{5, -1}, {5, 512}, std::vector<int32_t>(8, 5), {}};
  for (const std::vector<int32_t>& bad : bad_cases) {
    EXPECT_THROW(runner.prefill(bad), Error);
    EXPECT_EQ(runner.position(), 3);
  }
  try {
    runner.prefill(std::vector<int32_t>{5, 512});
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "token 512 at position 4 is outside the vocabulary of 512");
  }
}

TEST(RunnerTest, ProgressCanStopBetweenChunks) {
  const Model model = load_model(golden_folder("tiny"));
  Runner runner(model, golden_options(ComputeType::kF32, 1, 8));
  const std::vector<int32_t> ids(20, 5);
  std::vector<int64_t> seen;
  const auto logits = runner.prefill(ids, [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 20);
    seen.push_back(done);
    return done < 16;
  });
  EXPECT_TRUE(logits.empty());
  EXPECT_EQ(seen, (std::vector<int64_t>{8, 16}));
  EXPECT_EQ(runner.position(), 16);
}

TEST(RunnerTest, RefusesOptionsOutOfRange) {
  const Model model = load_model(golden_folder("tiny"));
  for (const auto& change : std::vector<std::function<void(RunnerOptions&)>>{
           [](RunnerOptions& o) { o.context_size = 0; },
           [](RunnerOptions& o) { o.context_size = int64_t{1} << 40; },
           [](RunnerOptions& o) { o.prefill_chunk = 0; },
           [](RunnerOptions& o) { o.kv_dtype = DType::kF16; },
           [](RunnerOptions& o) { o.threads = -1; }}) {
    RunnerOptions options = golden_options(ComputeType::kF32, 1, 8);
    change(options);
    EXPECT_THROW(Runner(model, options), Error);
  }
}

}  // namespace
}  // namespace mm
