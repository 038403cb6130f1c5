/// The cache as code of the host reads and fills it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "cache/cache_storage.h"

namespace mm {

/// A page to fill, and the block of the sequence that belongs there.
struct PageToFill {
  int64_t block = 0;
  int32_t page = 0;
};

/// Views of pages and states in host memory: of the cache itself where it lies there, else of
/// pinned copies, which this object keeps for the next time.
class HostCache {
 public:
  /// `storage` must outlive this.
  explicit HostCache(const CacheStorage& storage) : storage_(storage) {}

  /// Keys and values [G, 2, 64, K] of a page; valid until the next page is asked for or filled.
  TensorView page(size_t layer, int32_t page);
  /// Their scales f32 [G, 2, 64], likewise; empty unless pages hold codes.
  TensorView page_scales(size_t layer, int32_t page);
  /// The running state of a lightning layer, f32 [H, K, K]; valid until that layer's is asked for
  /// again, or states are filled.
  TensorView live_state(size_t layer, int64_t live);

  /// Fills keys and values, and scales if they have any, of a block of a softmax layer. Called from
  /// several threads at once.
  using FillPage = std::function<void(size_t layer, int64_t block, const TensorView& page,
                                      const TensorView& scales)>;
  /// Fills the pages in all softmax layers. Throws what `fill` throws.
  void fill_pages(std::span<const PageToFill> pages, ThreadPool& pool, const FillPage& fill);

  /// Fills the states of a checkpoint: f32 [H, K, K] per layer, empty views for softmax layers.
  /// Throws what `fill` throws.
  using FillStates = std::function<void(std::span<const TensorView> states)>;
  void fill_states(int64_t checkpoint, const FillStates& fill);

 private:
  /// Pinned room for some pages of one layer.
  struct PageStage {
    Tensor pages, scales;
  };

  bool in_place() const { return storage_.device().is_host(); }
  TensorView fetch(const TensorView& there, Tensor& stage) const;
  void fill_in_place(std::span<const PageToFill> pages, ThreadPool& pool, const FillPage& fill);
  void fill_staged(size_t layer, std::span<const PageToFill> pages, ThreadPool& pool,
                   const FillPage& fill);
  void send(size_t layer, std::span<const PageToFill> pages, const PageStage& stage) const;
  Tensor& state_stage(size_t layer);

  const CacheStorage& storage_;
  Tensor page_, page_scales_;
  std::vector<Tensor> states_;
};

}  // namespace mm
