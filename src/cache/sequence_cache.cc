#include "cache/sequence_cache.h"

#include <cstring>

namespace mm {

SequenceCache::SequenceCache(const std::vector<CacheLayerSpec>& layers, DType tail_dtype,
                             DType kv_dtype, int64_t capacity, int64_t block_tokens)
    : capacity_(capacity) {
  MM_CHECK(capacity > 0 && block_tokens > 0);
  const int64_t blocks = (capacity + block_tokens - 1) / block_tokens;
  layers_.reserve(layers.size());
  for (const CacheLayerSpec& spec : layers) {
    CacheLayer layer;
    if (spec.recurrent) {
      layer.state = Tensor(DType::kF32, {1, spec.heads, spec.head_size, spec.head_size});
      layer.tail_k = Tensor(tail_dtype, {1, spec.heads, block_tokens, spec.head_size});
      layer.tail_v = Tensor(tail_dtype, {1, spec.heads, block_tokens, spec.head_size});
    } else {
      layer.pages = Tensor(kv_dtype, {blocks, spec.heads, 2, block_tokens, spec.head_size});
    }
    layers_.push_back(std::move(layer));
  }
  block_table_ = Tensor(DType::kI32, {1, blocks});
  for (int64_t block = 0; block < blocks; ++block) {
    block_table_.ptr<int32_t>()[block] = static_cast<int32_t>(block);
  }
}

void SequenceCache::clear() {
  for (const CacheLayer& layer : layers_) {
    if (!layer.state.view().empty()) {
      std::memset(layer.state.view().data, 0, static_cast<size_t>(layer.state.view().bytes()));
    }
  }
}

int64_t SequenceCache::bytes() const {
  int64_t total = 0;
  for (const CacheLayer& layer : layers_) {
    for (const Tensor* tensor : {&layer.state, &layer.tail_k, &layer.tail_v, &layer.pages}) {
      if (!tensor->view().empty()) {
        total += tensor->view().bytes();
      }
    }
  }
  return total;
}

}  // namespace mm
