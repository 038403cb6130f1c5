/// The memory behind the cache: pages of softmax layers, states and tails of lightning layers.
/// Knows shapes, not who uses what.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace mm {

/// What one layer keeps.
struct CacheLayerSpec {
  bool recurrent = false;  ///< a state and a tail, else pages
  int heads = 0;           ///< H for recurrent layers, G for pages
  int head_size = 0;       ///< K

  friend bool operator==(const CacheLayerSpec&, const CacheLayerSpec&) = default;
};

/// The shape of a model's cache.
struct CacheShape {
  std::vector<CacheLayerSpec> layers = {};
  DType tail_dtype = DType::kBf16;  ///< f32 or bf16
  DType kv_dtype = DType::kBf16;    ///< f32, bf16, int8 or fp8
  int64_t block_tokens = 64;        ///< P: tokens of a page, and of a lightning block

  int64_t page_bytes() const;   ///< one page id in all layers, scales included
  int64_t state_bytes() const;  ///< one state slot in all layers
  int64_t tail_bytes() const;   ///< one tail in all layers
};

/// How much of it there is.
struct CacheSizes {
  int64_t pages = 0;        ///< blocks of 64 tokens, shared by all sequences
  int64_t live = 0;         ///< sequences running at once: a state and a tail each
  int64_t checkpoints = 0;  ///< states kept to go on from

  int64_t bytes(const CacheShape& shape) const;
};

struct CacheLayer {
  Tensor states;          ///< f32 [live + checkpoints, H, K(v), K(k)], at a multiple of 64 tokens
  Tensor tail_k, tail_v;  ///< [live, H, 64, K], rows since then
  Tensor pages;           ///< [pages, G, 2, 64, K]
  Tensor page_scales;     ///< f32 [pages, G, 2, 64], for int8 and fp8 pages
};

/// All of it, reserved at once. On the host it is backed by memory only where it was written, so a
/// large capacity costs nothing until it is used; on an accelerator it is taken at once. Rows of a
/// tail and of a page are written before they are read.
class CacheStorage {
 public:
  /// Throws kOutOfMemory, kDevice.
  CacheStorage(const CacheShape& shape, const CacheSizes& sizes, Device device = {});

  const std::vector<CacheLayer>& layers() const { return layers_; }
  const CacheShape& shape() const { return shape_; }
  const CacheSizes& sizes() const { return sizes_; }
  Device device() const { return device_; }

  // On an accelerator these are queued, between the steps before and after them.

  /// Makes a live slot the state of the empty sequence.
  void clear_state(int64_t live) const;
  void save_state(int64_t live, int64_t checkpoint) const { copy(live, sizes_.live + checkpoint); }
  void load_state(int64_t checkpoint, int64_t live) const { copy(sizes_.live + checkpoint, live); }
  /// The state of one recurrent layer, f32 [H, K, K].
  TensorView checkpoint_state(size_t layer, int64_t checkpoint) const;
  TensorView live_state(size_t layer, int64_t live) const;

 private:
  void copy(int64_t from, int64_t to) const;

  CacheShape shape_;
  CacheSizes sizes_;
  Device device_;
  std::vector<CacheLayer> layers_;
};

}  // namespace mm
