#include "engine/executor.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"
#include "model/forward.h"
#include "ops/cpu/backend.h"
#include "ops/reference/backend.h"

namespace mm {
namespace {

CacheViews cache_views(const CacheStorage& storage) {
  CacheViews views;
  for (const CacheLayer& layer : storage.layers()) {
    views.layers.push_back({.states = layer.states,
                            .tail_k = layer.tail_k,
                            .tail_v = layer.tail_v,
                            .pages = layer.pages,
                            .page_scales = layer.page_scales});
  }
  return views;
}

std::unique_ptr<Backend> make_backend(const ExecutorOptions& options, ThreadPool& pool) {
  std::unique_ptr<Backend> backend =
      options.reference ? make_reference_backend() : make_cpu_backend(pool);
  return options.wrap_backend ? options.wrap_backend(std::move(backend)) : std::move(backend);
}

}  // namespace

CacheShape cache_shape(const ModelConfig& config, ComputeType compute, DType kv_dtype) {
  if (kv_dtype != DType::kF32 && kv_dtype != DType::kBf16 && !is_scaled(kv_dtype)) {
    raise(ErrorKind::kUnsupported,
          "keys and values cannot be kept as {}, expected {}, {}, {} or {}", to_string(kv_dtype),
          to_string(DType::kF32), to_string(DType::kBf16), to_string(DType::kF8E4M3),
          to_string(DType::kI8));
  }
  CacheShape shape{
      .tail_dtype = to_dtype(compute), .kv_dtype = kv_dtype, .block_tokens = kBlockTokens};
  for (const AttentionKind kind : config.layers) {
    const bool recurrent = kind == AttentionKind::kLightning;
    shape.layers.push_back({.recurrent = recurrent,
                            .heads = recurrent ? config.num_heads : config.num_kv_heads,
                            .head_size = config.head_size});
  }
  return shape;
}

int64_t workspace_bytes(const ModelConfig& config, const ExecutorOptions& options) {
  return activation_bytes(config, options.compute, options.max_rows, options.max_logit_rows);
}

struct Executor::Impl {
  const Model& model;
  ExecutorOptions options;
  ThreadPool pool;
  std::unique_ptr<Backend> backend;
  Activations activations;
  CacheStorage storage;
  CacheViews views;
  const Probe* probe = nullptr;
  Tensor ids, positions, offsets, starts, slots, logit_rows, block_table;

  Impl(const Model& m, const ExecutorOptions& o, const CacheShape& shape, const CacheSizes& sizes)
      : model(m),
        options(o),
        pool(o.threads == 0 ? available_cores() : o.threads),
        backend(make_backend(o, pool)),
        activations(m.config, o.compute, o.max_rows, o.max_logit_rows),
        storage(shape, sizes),
        views(cache_views(storage)),
        ids(DType::kI32, {o.max_rows}),
        positions(DType::kI32, {o.max_rows}),
        offsets(DType::kI32, {o.max_sequences + 1}),
        starts(DType::kI32, {o.max_sequences}),
        slots(DType::kI32, {o.max_sequences}),
        logit_rows(DType::kI32, {o.max_logit_rows}),
        block_table(DType::kI32, {o.max_sequences, sizes.pages}) {}

  void write_rows(const StepRows& part, int64_t row) const {
    std::copy(part.tokens.begin(), part.tokens.end(), ids.ptr<int32_t>() + row);
    for (int64_t i = 0; i < static_cast<int64_t>(part.tokens.size()); ++i) {
      positions.ptr<int32_t>()[row + i] = static_cast<int32_t>(part.start + i);
    }
  }

  // The table is as wide as the longest sequence of the step; entries past a sequence's own blocks
  // are never read.
  TensorView write_block_table(std::span<const StepRows> parts) const {
    size_t width = 0;
    for (const StepRows& part : parts) {
      width = std::max(width, part.pages.size());
    }
    int32_t* row = block_table.ptr<int32_t>();
    for (const StepRows& part : parts) {
      std::copy(part.pages.begin(), part.pages.end(), row);
      row += width;
    }
    return TensorView::contiguous(
        block_table.view().data, DType::kI32,
        {static_cast<int64_t>(parts.size()), static_cast<int64_t>(width)});
  }

  TensorView run(std::span<const StepRows> parts) {
    MM_CHECK(!parts.empty() && static_cast<int>(parts.size()) <= options.max_sequences);
    int64_t row = 0;
    int64_t wanted = 0;
    for (size_t n = 0; n < parts.size(); ++n) {
      const StepRows& part = parts[n];
      const int64_t count = static_cast<int64_t>(part.tokens.size());
      MM_CHECK(row + count <= options.max_rows && part.logits <= count &&
               wanted + part.logits <= options.max_logit_rows);
      write_rows(part, row);
      offsets.ptr<int32_t>()[n] = static_cast<int32_t>(row);
      starts.ptr<int32_t>()[n] = static_cast<int32_t>(part.start);
      slots.ptr<int32_t>()[n] = part.slot;
      row += count;
      for (int64_t i = row - part.logits; i < row; ++i) {
        logit_rows.ptr<int32_t>()[wanted++] = static_cast<int32_t>(i);
      }
    }
    const int64_t sequences = static_cast<int64_t>(parts.size());
    offsets.ptr<int32_t>()[sequences] = static_cast<int32_t>(row);
    views.slots = slots.view().slice(0, sequences);
    views.block_table = write_block_table(parts);
    const Batch batch{.ids = ids.view().slice(0, row),
                      .positions = positions.view().slice(0, row),
                      .rows = {.offsets = offsets.view().slice(0, sequences + 1),
                               .starts = starts.view().slice(0, sequences)},
                      .logit_rows = logit_rows.view().slice(0, wanted)};
    return forward(model, *backend, batch, views, activations, probe);
  }
};

Executor::Executor(const Model& model, const ExecutorOptions& options, const CacheShape& shape,
                   const CacheSizes& sizes)
    : impl_(std::make_unique<Impl>(model, options, shape, sizes)) {}

Executor::~Executor() = default;

TensorView Executor::run(std::span<const StepRows> parts) {
  return impl_->run(parts);
}
const CacheStorage& Executor::storage() const {
  return impl_->storage;
}
const Model& Executor::model() const {
  return impl_->model;
}
const ExecutorOptions& Executor::options() const {
  return impl_->options;
}
Backend& Executor::backend() {
  return *impl_->backend;
}
ThreadPool& Executor::pool() {
  return impl_->pool;
}
void Executor::set_probe(const Probe* probe) {
  impl_->probe = probe;
}

}  // namespace mm
