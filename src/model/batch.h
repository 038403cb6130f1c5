/// One step's input: which tokens, where they stand, and the cache as views.
#pragma once

#include <vector>

#include "ops/backend.h"
#include "tensor/tensor.h"

namespace mm {

/// Rows of one step, sequences one after the other. Borrows its memory.
struct Batch {
  TensorView ids;         ///< i32 [T]
  TensorView positions;   ///< i32 [T], absolute
  Ragged rows;            ///< offsets i32 [N + 1], starts i32 [N]
  TensorView logit_rows;  ///< i32 [*], ascending rows that want logits; may be empty
};

/// The cache of one layer: a recurrent state for lightning layers, pages for softmax layers.
struct LayerCache {
  TensorView states;          ///< f32 [slots, H, K, K]
  TensorView tail_k, tail_v;  ///< float [slots, H, 64, K]
  TensorView pages;           ///< float, i8 or e4m3 [B, G, 2, 64, K]
  TensorView page_scales;     ///< f32 [B, G, 2, 64]; empty for float pages
};

/// The cache as the model sees it: views and index arrays, no pools.
struct CacheViews {
  std::vector<LayerCache> layers;
  TensorView slots;        ///< i32 [N], row of states and tails for each sequence
  TensorView block_table;  ///< i32 [N, *], page of each block of 64 positions
};

}  // namespace mm
