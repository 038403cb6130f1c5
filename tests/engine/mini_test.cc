/// The bundled model: the int8 files in the tree, and the bf16 folder they were made from where it
/// stands beside the project.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/runner.h"
#include "model/weights.h"
#include "tests/engine/golden.h"

namespace mm {
namespace {

constexpr int32_t kEndOfSentence = 2;

std::string shared_folder() {
  const char* configured = std::getenv("MINIMAX_SHARED_DIR");
  return configured != nullptr ? configured : std::string(MM_SOURCE_DIR) + "/../shared";
}

struct MiniCase {
  std::string golden;  ///< file under tests/golden/mini
  std::string folder;
};

/// f32 compute reproduces the reference's greedy ids and last logits on each prompt.
void expect_matches(const MiniCase& mini, double bound) {
  const Model model = load_model(mini.folder);
  const SafetensorsFile file(testing::golden_folder("mini") + "/" + mini.golden);
  for (const std::string tag : {"story", "needle", "raw"}) {
    const std::vector<int32_t> ids = testing::read_ids(file, tag + ".ids");
    const std::vector<float> want = testing::read_floats(file, tag + ".logits_last8");
    const std::vector<int32_t> greedy = testing::read_ids(file, tag + ".greedy");
    ASSERT_FALSE(ids.empty());
    std::vector<int64_t> rows;
    const int64_t count = static_cast<int64_t>(want.size()) / model.config.vocab_size;
    for (int64_t i = 0; i < count; ++i) {
      rows.push_back(static_cast<int64_t>(ids.size()) - count + i);
    }
    Runner runner(model, testing::golden_options(ComputeType::kF32, 2, 64));
    EXPECT_LE(testing::max_difference(testing::run_rows(runner, ids, 64, rows), want), bound)
        << tag;
    runner.reset();
    EXPECT_EQ(testing::run_greedy(runner, ids, greedy.size(), kEndOfSentence).ids, greedy) << tag;
  }
}

TEST(MiniTest, Int8ReproducesItsGoldenValues) {
  expect_matches({"golden-int8.safetensors", std::string(MM_SOURCE_DIR) + "/models/mini"}, 2e-4);
}

TEST(MiniTest, Bf16ReproducesItsGoldenValues) {
  const std::string folder = shared_folder() + "/models/mini";
  if (!std::filesystem::exists(folder)) {
    GTEST_SKIP() << folder << " is absent: the bf16 weights are not part of the repository";
  }
  expect_matches({"golden.safetensors", folder}, 2e-4);
}

}  // namespace
}  // namespace mm
