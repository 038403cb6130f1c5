/// One sequence on a device, for tests of the model there: the cache is laid out by hand.
#pragma once

#include <numeric>
#include <span>
#include <vector>

#include "model/forward.h"
#include "ops/cuda/backend.h"

namespace mm::testing {

class DeviceRunner {
 public:
  /// `model` lies on cuda:0. Steps of up to `chunk` rows, `capacity` positions.
  DeviceRunner(const Model& model, ComputeType compute, int64_t chunk, int64_t capacity,
               const CudaOptions& options = {})
      : model_(model),
        backend_(make_cuda_backend(options)),
        activations_(model.config, compute, chunk, chunk, cuda_device()) {
    const ModelConfig& c = model.config;
    const int64_t blocks = (capacity + kBlockTokens - 1) / kBlockTokens;
    for (AttentionKind kind : c.layers) {
      LayerCache layer;
      if (kind == AttentionKind::kLightning) {
        layer.states = keep(DType::kF32, {1, c.num_heads, c.head_size, c.head_size});
        layer.tail_k = keep(to_dtype(compute), {1, c.num_heads, kBlockTokens, c.head_size});
        layer.tail_v = keep(to_dtype(compute), {1, c.num_heads, kBlockTokens, c.head_size});
      } else {
        layer.pages =
            keep(to_dtype(compute), {blocks, c.num_kv_heads, 2, kBlockTokens, c.head_size});
      }
      views_.layers.push_back(layer);
    }
    views_.slots = keep(DType::kI32, {1});
    views_.block_table = keep(DType::kI32, {1, blocks});
    std::vector<int32_t> pages(static_cast<size_t>(blocks));
    std::iota(pages.begin(), pages.end(), 0);
    upload(pages, views_.block_table);
    ids_ = keep(DType::kI32, {chunk});
    positions_ = keep(DType::kI32, {chunk});
    logit_rows_ = keep(DType::kI32, {chunk});
    offsets_ = keep(DType::kI32, {2});
    starts_ = keep(DType::kI32, {1});
  }

  /// Appends tokens in one step; f32 logits of the last `rows`, [rows, V].
  std::vector<float> step(std::span<const int32_t> ids, int64_t rows, const Probe* probe) {
    const auto count = static_cast<int64_t>(ids.size());
    std::vector<int32_t> positions(ids.size());
    std::iota(positions.begin(), positions.end(), static_cast<int32_t>(position_));
    std::vector<int32_t> wanted(static_cast<size_t>(rows));
    std::iota(wanted.begin(), wanted.end(), static_cast<int32_t>(count - rows));
    upload({ids.begin(), ids.end()}, ids_);
    upload(positions, positions_);
    upload(wanted, logit_rows_);
    upload({0, static_cast<int32_t>(count)}, offsets_);
    upload({static_cast<int32_t>(position_)}, starts_);
    const Batch batch{.ids = ids_.slice(0, count),
                      .positions = positions_.slice(0, count),
                      .rows = {.offsets = offsets_, .starts = starts_},
                      .logit_rows = logit_rows_.slice(0, rows)};
    const TensorView logits = forward(model_, *backend_, batch, views_, activations_, probe);
    position_ += count;
    std::vector<float> result(static_cast<size_t>(logits.numel()));
    copy_bytes(result.data(), Device{}, logits.data, cuda_device(), logits.bytes());
    return result;
  }

  /// All of `ids` in steps of `chunk`; logits of every row, [count, V].
  std::vector<float> run(std::span<const int32_t> ids, int64_t chunk,
                         const Probe* probe = nullptr) {
    std::vector<float> all;
    for (size_t at = 0; at < ids.size(); at += static_cast<size_t>(chunk)) {
      const auto part = ids.subspan(at, std::min(static_cast<size_t>(chunk), ids.size() - at));
      const std::vector<float> logits = step(part, static_cast<int64_t>(part.size()), probe);
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
  }

 private:
  TensorView keep(DType dtype, std::initializer_list<int64_t> shape) {
    tensors_.emplace_back(dtype, shape, cuda_device());
    return tensors_.back();
  }
  static void upload(const std::vector<int32_t>& values, const TensorView& to) {
    copy_bytes(to.data, cuda_device(), values.data(), Device{},
               static_cast<int64_t>(values.size() * sizeof(int32_t)));
  }

  const Model& model_;
  std::unique_ptr<Backend> backend_;
  Activations activations_;
  std::vector<Tensor> tensors_;
  CacheViews views_;
  TensorView ids_, positions_, logit_rows_, offsets_, starts_;
  int64_t position_ = 0;
};

}  // namespace mm::testing
