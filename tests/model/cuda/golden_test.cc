// Checkpoints on the device against the golden values of the reference implementation.
#include "tests/engine/golden.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/thread_pool.h"
#include "model/quantize.h"
#include "model/upload.h"
#include "tests/model/cuda/device_runner.h"
#include "tests/model/resave.h"

namespace mm {
namespace {

using mm::testing::DeviceRunner;

struct Case {
  const char* name;
  const char* folder;  ///< below the checkout
  const char* golden;  ///< file below tests/golden
  std::vector<const char*> tags;
  const char* logits;  ///< name of the logits of a tag
};

const Case kCases[] = {{"tiny",
                        "tests/golden/tiny",
                        "tiny/golden.safetensors",
                        {"short", "block", "ragged"},
                        ".logits"},
                       {"tiny_hd64",
                        "tests/golden/tiny-hd64",
                        "tiny-hd64/golden.safetensors",
                        {"short", "block", "ragged"},
                        ".logits"},
                       {"mini_int8",
                        "models/mini",
                        "mini/golden-int8.safetensors",
                        {"story", "needle", "raw"},
                        ".logits_last8"}};

class CudaGoldenTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
    const std::string root = mm::testing::source_folder() + "/";
    const Model model = load_model(root + GetParam().folder);
    int64_t reported = 0;
    model_ = copy_to_device(model, cuda_device(), [&](int64_t done, int64_t total) {
      reported = done;
      EXPECT_LE(done, total);
    });
    EXPECT_GT(reported, 0);
    golden_ = std::make_unique<SafetensorsFile>(root + "tests/golden/" + GetParam().golden);
  }

  std::vector<int32_t> ids(const std::string& tag) const {
    return mm::testing::read_ids(*golden_, tag + ".ids");
  }
  std::vector<float> want(const std::string& tag) const {
    return mm::testing::read_floats(*golden_, tag + GetParam().logits);
  }
  /// The rows that golden values exist for: the last ones.
  static std::vector<float> last_rows(const std::vector<float>& all, size_t count) {
    return {all.end() - static_cast<std::ptrdiff_t>(count), all.end()};
  }

  Model model_;
  std::unique_ptr<SafetensorsFile> golden_;
};

TEST_P(CudaGoldenTest, F32ReproducesLogitsInChunksOfAnySize) {
  for (const char* tag : GetParam().tags) {
    for (int64_t chunk : {64, 100, 1}) {
      SCOPED_TRACE(std::string(tag) + " in chunks of " + std::to_string(chunk));
      DeviceRunner runner(model_, ComputeType::kF32, chunk, 1024);
      const std::vector<float> expected = want(tag);
      const std::vector<float> got = last_rows(runner.run(ids(tag), chunk), expected.size());
      EXPECT_LE(mm::testing::max_difference(got, expected), 2e-4);
    }
  }
}

TEST_P(CudaGoldenTest, F32DecodesTheGoldenTokens) {
  for (const char* tag : GetParam().tags) {
    SCOPED_TRACE(tag);
    const std::vector<int32_t> greedy =
        mm::testing::read_ids(*golden_, std::string(tag) + ".greedy");
    DeviceRunner runner(model_, ComputeType::kF32, 64, 1024);
    std::vector<float> logits = runner.run(ids(tag), 64);
    const auto vocabulary = static_cast<size_t>(model_.config.vocab_size);
    for (int32_t id : greedy) {
      const std::vector<float> row = last_rows(logits, vocabulary);
      ASSERT_EQ(std::max_element(row.begin(), row.end()) - row.begin(), id);
      logits = runner.step({&id, 1}, 1, nullptr);
    }
  }
}

/// Logits of f32 and of bf16 computation with the experts that the first chose: a flipped near-tie
/// would hide everything else.
struct Computed {
  std::vector<float> f32, bf16;
};
Computed compute_both(const Model& model, const std::vector<int32_t>& ids, int64_t chunk) {
  std::vector<std::vector<int32_t>> chosen;
  size_t next = 0;
  Probe record;
  record.route = [&](int, const TensorView& experts) {
    chosen.emplace_back(static_cast<size_t>(experts.numel()));
    copy_bytes(chosen.back().data(), Device{}, experts.data, cuda_device(), experts.bytes());
  };
  Probe force;
  force.route = [&](int, const TensorView& experts) {
    copy_bytes(experts.data, cuda_device(), chosen[next++].data(), Device{}, experts.bytes());
  };
  Computed computed;
  computed.f32 = DeviceRunner(model, ComputeType::kF32, chunk, 1024).run(ids, chunk, &record);
  computed.bf16 = DeviceRunner(model, ComputeType::kBf16, chunk, 1024).run(ids, chunk, &force);
  return computed;
}

TEST_P(CudaGoldenTest, Bf16StaysWithinItsBound) {
  for (const char* tag : GetParam().tags) {
    for (int64_t chunk : {64, 1}) {
      SCOPED_TRACE(std::string(tag) + " in chunks of " + std::to_string(chunk));
      const std::vector<float> expected = want(tag);
      const std::vector<float> got =
          last_rows(compute_both(model_, ids(tag), chunk).bf16, expected.size());
      EXPECT_LE(mm::testing::relative_error(got, expected), 1e-2);
    }
  }
}

// Against f32 computation with the same weights: what is measured is the rounding of activations.
TEST_P(CudaGoldenTest, Fp8StaysWithinItsBound) {
  if (model_.quantization.bits != 0)
    GTEST_SKIP() << "not made from float weights";
  const TemporaryFolder folder;
  ThreadPool pool(2);
  quantize_checkpoint(mm::testing::source_folder() + "/" + GetParam().folder, folder / "fp8",
                      {.format = "fp8"}, pool);
  const Model model = copy_to_device(load_model(folder / "fp8"), cuda_device(), {});
  for (const char* tag : GetParam().tags) {
    std::vector<std::vector<float>> by_chunk;
    for (int64_t chunk : {64, 1}) {
      SCOPED_TRACE(std::string(tag) + " in chunks of " + std::to_string(chunk));
      const Computed computed = compute_both(model, ids(tag), chunk);
      EXPECT_LE(mm::testing::relative_error(computed.bf16, computed.f32), 1.5e-1);
      by_chunk.push_back(computed.bf16);
    }
    // They round alike, but sums in another order tip some roundings over, each by up to 2⁻³ of a
    // number: about one in twenty, which is as much as the rounding itself.
    EXPECT_LE(mm::testing::relative_error(by_chunk[1], by_chunk[0]), 1.5e-1) << tag;
  }
}

// Weights of whole numbers in f32 computation: the device against the host, which has the golden
// values of its own (tests/engine/golden_test.cc). In bf16 the device rounds scale · code besides
// activations: as many errors again of the same size, independent, so √2 times Bf16's bound.
TEST_P(CudaGoldenTest, Int4AndInt8AreTheHosts) {
  if (model_.quantization.bits != 0)
    GTEST_SKIP() << "not made from float weights";
  for (const char* format : {"int8", "int4"}) {
    const TemporaryFolder folder;
    ThreadPool pool(2);
    quantize_checkpoint(mm::testing::source_folder() + "/" + GetParam().folder, folder / "coded",
                        {.format = format, .group_size = 32}, pool);
    const Model host = load_model(folder / "coded");
    const Model device = copy_to_device(host, cuda_device(), {});
    for (const char* tag : GetParam().tags) {
      Runner runner(host, mm::testing::golden_options(ComputeType::kF32, 2, 64));
      std::vector<int64_t> rows(ids(tag).size());
      std::iota(rows.begin(), rows.end(), 0);
      const std::vector<float> want = mm::testing::run_rows(runner, ids(tag), 64, rows);
      for (int64_t chunk : {64, 1}) {
        SCOPED_TRACE(std::string(format) + ", " + tag + " in chunks of " + std::to_string(chunk));
        const Computed computed = compute_both(device, ids(tag), chunk);
        EXPECT_LE(mm::testing::max_difference(computed.f32, want), 2e-4);
        EXPECT_LE(mm::testing::relative_error(computed.bf16, computed.f32), 1.42e-2);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, CudaGoldenTest, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace mm
