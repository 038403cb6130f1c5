#include "cache/sequence_cache.h"

#include <gtest/gtest.h>

namespace mm {
namespace {

TEST(SequenceCacheTest, ShapesFollowTheSpecs) {
  const SequenceCache cache({{true, 2, 8}, {false, 1, 8}}, DType::kBf16, DType::kF32, 130, 64);
  ASSERT_EQ(cache.layers().size(), 2u);
  EXPECT_EQ(to_string(cache.layers()[0].state.view()), "F32 [1, 2, 8, 8]");
  EXPECT_EQ(to_string(cache.layers()[0].tail_k.view()), "BF16 [1, 2, 64, 8]");
  EXPECT_TRUE(cache.layers()[0].pages.view().empty());
  EXPECT_EQ(to_string(cache.layers()[1].pages.view()), "F32 [3, 1, 2, 64, 8]");
  EXPECT_EQ(to_string(cache.block_table()), "I32 [1, 3]");
  EXPECT_EQ(cache.block_table().ptr<int32_t>()[2], 2);
  EXPECT_EQ(cache.bytes(), 4 * 2 * 64 + 2 * 2 * 2 * 64 * 8 + 4 * 3 * 2 * 64 * 8);
}

TEST(SequenceCacheTest, ClearZeroesTheStates) {
  SequenceCache cache({{true, 1, 4}}, DType::kF32, DType::kF32, 64, 64);
  float* state = cache.layers()[0].state.ptr<float>();
  state[5] = 3;
  cache.clear();
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(state[i], 0.0f);
  }
}

TEST(SequenceCacheTest, AHugeCapacityCostsNothingUntilUsed) {
  // 4 Mi tokens of one bf16 head of 128: 2 GiB reserved, nothing touched.
  const SequenceCache cache({{false, 1, 128}}, DType::kBf16, DType::kBf16, int64_t{4} << 20, 64);
  EXPECT_EQ(cache.bytes(), int64_t{4} << 29);
}

}  // namespace
}  // namespace mm
