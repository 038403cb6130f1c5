/// The memory of one sequence: recurrent states and tails of lightning layers, key/value pages of
/// softmax layers. Knows shapes, not models.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace mm {

/// What one layer keeps.
struct CacheLayerSpec {
  bool recurrent = false;  ///< a state and a tail, else pages
  int heads = 0;           ///< H for recurrent layers, G for pages
  int head_size = 0;       ///< K
};

struct CacheLayer {
  Tensor state;           ///< f32 [1, H, K, K], at the last multiple of 64 tokens
  Tensor tail_k, tail_v;  ///< [1, H, 64, K], rows since then
  Tensor pages;           ///< [B, G, 2, 64, K]
};

/// Storage for up to `capacity` tokens. Pages are reserved at once and backed by memory only when
/// they are written, so a large capacity costs nothing until it is used.
class SequenceCache {
 public:
  /// `tail_dtype` and `kv_dtype` are f32 or bf16; `block_tokens` is the page and block size.
  SequenceCache(const std::vector<CacheLayerSpec>& layers, DType tail_dtype, DType kv_dtype,
                int64_t capacity, int64_t block_tokens);

  const std::vector<CacheLayer>& layers() const { return layers_; }
  int64_t capacity() const { return capacity_; }
  /// i32 [1, B]: position p lives in page p / block_tokens.
  const TensorView& block_table() const { return block_table_.view(); }

  /// Makes the sequence empty: clears the states (rows and pages are overwritten before use).
  void clear();
  /// Bytes that a full sequence holds.
  int64_t bytes() const;

 private:
  std::vector<CacheLayer> layers_;
  Tensor block_table_;
  int64_t capacity_;
};

}  // namespace mm
