#include "engine/host_cache.h"

#include "tests/engine/host_cache_cases.h"

namespace mm {
namespace {

TEST(HostCache, PagesAreReadAsTheyWereFilled) {
  for (const DType kv : {DType::kBf16, DType::kI8}) {
    testing::check_pages({}, kv);
  }
}

TEST(HostCache, ManyPagesFindTheirPlaces) {
  testing::check_many_pages({});
}

TEST(HostCache, StatesAreFilledCopiedAndCleared) {
  testing::check_states({});
}

TEST(HostCache, AnErrorOfAFillerComesOut) {
  testing::check_errors({});
}

// In host memory nothing is copied: the views are those of the cache.
TEST(HostCache, OnTheHostViewsAreTheCache) {
  const CacheStorage storage(testing::two_of_each(DType::kI8), {.pages = 2, .live = 1});
  HostCache cache(storage);
  EXPECT_EQ(cache.page(1, 1).data, storage.layers()[1].pages.view().at(1).data);
  EXPECT_EQ(cache.page_scales(1, 1).data, storage.layers()[1].page_scales.view().at(1).data);
  EXPECT_EQ(cache.live_state(2, 0).data, storage.live_state(2, 0).data);
}

}  // namespace
}  // namespace mm
