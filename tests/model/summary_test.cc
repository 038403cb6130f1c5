#include "model/summary.h"

#include <gtest/gtest.h>

#include "model/weights.h"
#include "tests/model/shared_files.h"

namespace mm {
namespace {

TEST(SummaryTest, CountsTheTinyModel) {
  const ModelSummary s = summarize(load_model(golden_path("tiny")));
  // V·D twice, 7 lightning layers, 1 softmax layer, routers, experts, norms.
  const int64_t table = 512 * 128;
  const int64_t lightning = 3 * 256 * 128 + 2 * 256 * 128;
  const int64_t softmax = 2 * 256 * 128 + 2 * 128 * 128;
  const int64_t experts = 8 * 4 * 3 * 128 * 128;
  const int64_t routers = 8 * 4 * 128;
  const int64_t norms = 7 * 256 + 17 * 128;
  const int64_t rest = 7 * lightning + softmax + routers + norms;
  EXPECT_EQ(s.parameters, 2 * table + rest + experts);
  EXPECT_EQ(s.tensors, 3 + 7 * 7 + 7 + 8 * 12);
  EXPECT_EQ(s.bytes, 2 * (s.parameters - norms) + 4 * norms);  // norms are held in f32
  // One row of the embedding, the head, half of the experts.
  EXPECT_EQ(s.active_parameters, 128 + table + rest + experts / 2);
  EXPECT_EQ(s.bytes_per_token, 2 * (s.active_parameters - norms) + 4 * norms);
  EXPECT_EQ(s.cache.kv_per_token, 2 * 128);
  EXPECT_EQ(kv_bytes_per_token(s.cache, DType::kBf16), 2 * 2 * 128);
  EXPECT_EQ(kv_bytes_per_token(s.cache, DType::kF8E4M3),
            2 * 128 + 2 * 4 * (128 / read_config_file(golden_path("tiny")).model.head_size));
  EXPECT_EQ(s.cache.state, 7 * 2 * 128 * 128);
  EXPECT_EQ(s.cache.tail, 7 * 2 * 64 * 256);
}

TEST(SummaryTest, TiedHeadCountsOnce) {
  const ModelSummary s = summarize(load_model(golden_path("tiny-hd64")));
  for (const WeightSummary& entry : s.classes) EXPECT_NE(entry.name, "head");
  EXPECT_EQ(s.classes[0].parameters, 512 * 96);
}

TEST(SummaryTest, NamesFormats) {
  const ModelConfig config = read_config_file(golden_path("tiny")).model;
  const ModelSummary s = summarize(make_random_model(config, {.format = "int4", .group_size = 64}));
  for (const WeightSummary& entry : s.classes) {
    if (entry.name == "experts") {
      EXPECT_EQ(entry.format, "int4 g64");
      EXPECT_EQ(entry.bytes, entry.parameters / 2 + entry.parameters / 64 * 2);
    }
    if (entry.name == "embedding") {
      EXPECT_EQ(entry.format, "BF16");
    }
  }
}

TEST(SummaryTest, CacheOfThePublishedShape) {
  const std::filesystem::path folder = shared_path("real");
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << folder << " is absent";
  const CacheCost cost = cache_cost(read_config_file(folder.string()).model);
  EXPECT_EQ(cost.kv_per_token * 2, 40'960);  // bytes in bf16
  EXPECT_EQ(cost.state * 4, 293'601'280);    // bytes in f32
}

}  // namespace
}  // namespace mm
