/// What must hold of HostCache and CacheStorage on every device.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "base/error.h"
#include "engine/host_cache.h"

namespace mm::testing {

/// Pages of codes with scales in two layers, states in two, of different sizes.
inline CacheShape two_of_each(DType kv_dtype) {
  return {.layers = {{true, 2, 8}, {false, 1, 8}, {true, 3, 8}, {false, 2, 8}},
          .tail_dtype = DType::kBf16,
          .kv_dtype = kv_dtype,
          .block_tokens = 64};
}

/// A byte that depends on all three.
inline char pattern(size_t layer, int64_t block, int64_t at) {
  return static_cast<char>(static_cast<int64_t>(layer) * 31 + block * 7 + at * 3 + 1);
}

inline void fill_pattern(size_t layer, int64_t block, const TensorView& view) {
  auto* bytes = static_cast<char*>(view.data);
  for (int64_t i = 0; i < view.bytes(); ++i) {
    bytes[i] = pattern(layer, block, i);
  }
}

inline void expect_pattern(size_t layer, int64_t block, const TensorView& view) {
  const auto* bytes = static_cast<const char*>(view.data);
  int64_t wrong = 0;
  for (int64_t i = 0; i < view.bytes(); ++i) {
    wrong += bytes[i] != pattern(layer, block, i) ? 1 : 0;
  }
  EXPECT_EQ(wrong, 0) << "layer " << layer << ", block " << block;
}

/// Pages in no order, some of them neighbours, read as they were filled; the others stay zero.
inline void check_pages(Device device, DType kv_dtype) {
  const CacheStorage storage(two_of_each(kv_dtype), {.pages = 9, .live = 1}, device);
  HostCache cache(storage);
  ThreadPool pool(2);
  const std::vector<PageToFill> pages = {{0, 4}, {1, 5}, {2, 6}, {3, 2}, {4, 8}, {5, 0}, {6, 1}};
  cache.fill_pages(
      pages, pool,
      [](size_t layer, int64_t block, const TensorView& page, const TensorView& scales) {
        fill_pattern(layer, block, page);
        if (!scales.empty()) {
          fill_pattern(layer + 100, block, scales);
        }
      });
  for (const size_t layer : {size_t{1}, size_t{3}}) {
    for (const PageToFill& to : pages) {
      const TensorView page = cache.page(layer, to.page);
      const TensorView scales = cache.page_scales(layer, to.page);
      EXPECT_EQ(page.shape, storage.layers()[layer].pages.view().at(0).shape);
      expect_pattern(layer, to.block, page);
      ASSERT_EQ(scales.empty(), !is_scaled(kv_dtype));
      if (!scales.empty()) {
        expect_pattern(layer + 100, to.block, scales);
      }
    }
    const TensorView untouched = cache.page(layer, 7);
    const auto* bytes = static_cast<const char*>(untouched.data);
    EXPECT_EQ(std::count(bytes, bytes + untouched.bytes(), 0), untouched.bytes());
  }
}

/// More pages than a stage holds arrive in their places.
inline void check_many_pages(Device device) {
  CacheShape shape{.layers = {{false, 4, 128}}};
  const int64_t count = 200;  // of 128 KiB: several stages of 16 MiB
  const CacheStorage storage(shape, {.pages = count, .live = 1}, device);
  HostCache cache(storage);
  ThreadPool pool(2);
  std::vector<PageToFill> pages;
  for (int64_t i = 0; i < count; ++i) {
    pages.push_back({i, static_cast<int32_t>(i * 7 % count)});
  }
  cache.fill_pages(pages, pool,
                   [](size_t layer, int64_t block, const TensorView& page, const TensorView&) {
                     fill_pattern(layer, block, page);
                   });
  for (const PageToFill& to : pages) {
    expect_pattern(0, to.block, cache.page(0, to.page));
  }
}

/// A checkpoint that was filled, loaded into a running sequence, saved and cleared.
inline void check_states(Device device) {
  const CacheStorage storage(two_of_each(DType::kBf16), {.pages = 1, .live = 2, .checkpoints = 2},
                             device);
  HostCache cache(storage);
  cache.fill_states(1, [](std::span<const TensorView> states) {
    EXPECT_TRUE(states[1].empty());
    fill_pattern(0, 5, states[0]);
    fill_pattern(2, 5, states[2]);
  });
  storage.load_state(1, 0);
  storage.save_state(0, 0);
  storage.clear_state(0);
  storage.load_state(0, 1);
  for (const size_t layer : {size_t{0}, size_t{2}}) {
    expect_pattern(layer, 5, cache.live_state(layer, 1));
    const TensorView cleared = cache.live_state(layer, 0);
    const float* values = cleared.ptr<float>();
    EXPECT_EQ(std::count(values, values + cleared.numel(), 0.0F), cleared.numel());
  }
}

/// What a filler throws comes out, and the cache can be filled afterwards.
inline void check_errors(Device device) {
  const CacheStorage storage(two_of_each(DType::kBf16), {.pages = 4, .live = 1, .checkpoints = 1},
                             device);
  HostCache cache(storage);
  ThreadPool pool(2);
  const std::vector<PageToFill> pages = {{0, 3}, {1, 1}};
  EXPECT_THROW(cache.fill_pages(pages, pool,
                                [](size_t, int64_t, const TensorView&, const TensorView&) {
                                  bad_input("damaged");
                                }),
               Error);
  EXPECT_THROW(cache.fill_states(0, [](std::span<const TensorView>) { bad_input("damaged"); }),
               Error);
  cache.fill_pages(pages, pool,
                   [](size_t layer, int64_t block, const TensorView& page, const TensorView&) {
                     fill_pattern(layer, block, page);
                   });
  expect_pattern(3, 1, cache.page(3, 1));
}

}  // namespace mm::testing
