#include "cache/cache_storage.h"

namespace mm {

int64_t CacheShape::page_bytes() const {
  const int64_t scale = is_scaled(kv_dtype) ? size_of(DType::kF32) : 0;
  int64_t total = 0;
  for (const CacheLayerSpec& layer : layers) {
    const int64_t rows = layer.recurrent ? 0 : 2 * layer.heads * block_tokens;
    total += rows * (layer.head_size * size_of(kv_dtype) + scale);
  }
  return total;
}

int64_t CacheShape::state_bytes() const {
  int64_t total = 0;
  for (const CacheLayerSpec& layer : layers) {
    const int64_t heads = layer.recurrent ? layer.heads : 0;
    total += heads * layer.head_size * layer.head_size * size_of(DType::kF32);
  }
  return total;
}

int64_t CacheShape::tail_bytes() const {
  int64_t total = 0;
  for (const CacheLayerSpec& layer : layers) {
    const int64_t heads = layer.recurrent ? layer.heads : 0;
    total += 2 * heads * block_tokens * layer.head_size * size_of(tail_dtype);
  }
  return total;
}

int64_t CacheSizes::bytes(const CacheShape& shape) const {
  return pages * shape.page_bytes() + (live + checkpoints) * shape.state_bytes() +
         live * shape.tail_bytes();
}

CacheStorage::CacheStorage(const CacheShape& shape, const CacheSizes& sizes, Device device)
    : shape_(shape), sizes_(sizes), device_(device) {
  MM_CHECK(sizes.pages > 0 && sizes.live > 0 && sizes.checkpoints >= 0 && shape.block_tokens > 0);
  layers_.reserve(shape.layers.size());
  const auto tensor = [device](DType dtype, std::initializer_list<int64_t> axes) {
    return Tensor(dtype, axes, device);
  };
  for (const CacheLayerSpec& spec : shape.layers) {
    const int64_t heads = spec.heads;
    const int64_t size = spec.head_size;
    CacheLayer layer;
    if (spec.recurrent) {
      layer.states = tensor(DType::kF32, {sizes.live + sizes.checkpoints, heads, size, size});
      layer.tail_k = tensor(shape.tail_dtype, {sizes.live, heads, shape.block_tokens, size});
      layer.tail_v = tensor(shape.tail_dtype, {sizes.live, heads, shape.block_tokens, size});
    } else {
      layer.pages = tensor(shape.kv_dtype, {sizes.pages, heads, 2, shape.block_tokens, size});
      if (is_scaled(shape.kv_dtype)) {
        layer.page_scales = tensor(DType::kF32, {sizes.pages, heads, 2, shape.block_tokens});
      }
    }
    layers_.push_back(std::move(layer));
  }
}

void CacheStorage::clear_state(int64_t live) const {
  for (size_t l = 0; l < layers_.size(); ++l) {
    if (shape_.layers[l].recurrent) {
      const TensorView state = live_state(l, live);
      queue_zeros(state.data, device_, state.bytes());
    }
  }
}

void CacheStorage::copy(int64_t from, int64_t to) const {
  for (size_t l = 0; l < layers_.size(); ++l) {
    if (shape_.layers[l].recurrent) {
      const TensorView& states = layers_[l].states;
      const TensorView target = states.at(to);
      queue_copy(target.data, device_, states.at(from).data, device_, target.bytes());
    }
  }
}

TensorView CacheStorage::checkpoint_state(size_t layer, int64_t checkpoint) const {
  return layers_[layer].states.view().at(sizes_.live + checkpoint);
}

TensorView CacheStorage::live_state(size_t layer, int64_t live) const {
  return layers_[layer].states.view().at(live);
}

}  // namespace mm
