#include "cache/cache_storage.h"

#include <gtest/gtest.h>

namespace mm {
namespace {

CacheShape small_shape(DType kv_dtype = DType::kF32) {
  return {.layers = {{true, 2, 8}, {false, 1, 8}},
          .tail_dtype = DType::kBf16,
          .kv_dtype = kv_dtype,
          .block_tokens = 64};
}

TEST(CacheStorage, ShapesFollowTheSpecs) {
  const CacheStorage storage(small_shape(), {.pages = 3, .live = 2, .checkpoints = 4});
  ASSERT_EQ(storage.layers().size(), 2u);
  EXPECT_EQ(to_string(storage.layers()[0].states.view()), "F32 [6, 2, 8, 8]");
  EXPECT_EQ(to_string(storage.layers()[0].tail_k.view()), "BF16 [2, 2, 64, 8]");
  EXPECT_TRUE(storage.layers()[0].pages.view().empty());
  EXPECT_EQ(to_string(storage.layers()[1].pages.view()), "F32 [3, 1, 2, 64, 8]");
  EXPECT_TRUE(storage.layers()[1].page_scales.view().empty());
}

TEST(CacheStorage, BytesAreThoseOfTheTensors) {
  for (const DType kv : {DType::kF32, DType::kBf16, DType::kI8}) {
    const CacheSizes sizes{.pages = 3, .live = 2, .checkpoints = 4};
    const CacheStorage storage(small_shape(kv), sizes);
    int64_t bytes = 0;
    for (const CacheLayer& layer : storage.layers()) {
      for (const Tensor* t :
           {&layer.states, &layer.tail_k, &layer.tail_v, &layer.pages, &layer.page_scales}) {
        bytes += t->view().empty() ? 0 : t->view().bytes();
      }
    }
    EXPECT_EQ(sizes.bytes(storage.shape()), bytes);
  }
}

TEST(CacheStorage, StatesAreCopiedAndCleared) {
  const CacheStorage storage(small_shape(), {.pages = 1, .live = 2, .checkpoints = 2});
  float* live = storage.live_state(0, 1).ptr<float>();
  live[0] = 3;
  live[127] = 4;
  storage.save_state(1, 0);
  EXPECT_EQ(storage.checkpoint_state(0, 0).ptr<float>()[127], 4);
  storage.clear_state(1);
  EXPECT_EQ(live[0], 0);
  EXPECT_EQ(live[127], 0);
  storage.load_state(0, 0);
  EXPECT_EQ(storage.live_state(0, 0).ptr<float>()[0], 3);
  EXPECT_EQ(live[0], 0);
}

}  // namespace
}  // namespace mm
