#include "engine/runner.h"

#include <algorithm>

#include "base/error.h"
#include "cache/sequence_cache.h"
#include "model/forward.h"
#include "ops/cpu/backend.h"
#include "ops/reference/backend.h"

namespace mm {
namespace {

constexpr int64_t kMaxPositions = int64_t{1} << 30;  // positions are i32, with room to add

void check_options(const RunnerOptions& options) {
  if (options.context_size < 1 || options.context_size > kMaxPositions) {
    bad_input("context size {} is out of range, expected 1 to {} tokens", options.context_size,
              kMaxPositions);
  }
  if (options.prefill_chunk < 1 || options.prefill_chunk > (1 << 20)) {
    bad_input("prefill chunk {} is out of range, expected 1 to {} tokens", options.prefill_chunk,
              1 << 20);
  }
  if (options.kv_dtype != DType::kF32 && options.kv_dtype != DType::kBf16) {
    raise(ErrorKind::kUnsupported, "keys and values cannot be kept as {}, expected f32 or bf16",
          to_string(options.kv_dtype));
  }
}

std::vector<CacheLayerSpec> cache_layers(const ModelConfig& config) {
  std::vector<CacheLayerSpec> specs;
  for (const AttentionKind kind : config.layers) {
    const bool recurrent = kind == AttentionKind::kLightning;
    specs.push_back({.recurrent = recurrent,
                     .heads = recurrent ? config.num_heads : config.num_kv_heads,
                     .head_size = config.head_size});
  }
  return specs;
}

CacheViews cache_views(const SequenceCache& cache, const Tensor& slots) {
  CacheViews views;
  for (const CacheLayer& layer : cache.layers()) {
    views.layers.push_back({.states = layer.state,
                            .tail_k = layer.tail_k,
                            .tail_v = layer.tail_v,
                            .pages = layer.pages});
  }
  views.slots = slots;
  views.block_table = cache.block_table();
  return views;
}

}  // namespace

struct Runner::Impl {
  const Model& model;
  RunnerOptions options;
  ThreadPool pool;
  std::unique_ptr<Backend> backend;
  Activations activations;
  SequenceCache cache;
  Tensor slots{DType::kI32, {1}};
  Tensor ids, positions, offsets{DType::kI32, {2}}, starts{DType::kI32, {1}}, logit_rows;
  CacheViews views;
  const Probe* probe = nullptr;
  int64_t position = 0;

  Impl(const Model& m, const RunnerOptions& o)
      : model(m),
        options(o),
        pool(o.threads == 0 ? available_cores() : o.threads),
        backend(o.reference ? make_reference_backend() : make_cpu_backend(pool)),
        activations(m.config, o.compute, o.prefill_chunk, o.max_logit_rows),
        cache(cache_layers(m.config), to_dtype(o.compute), o.kv_dtype, o.context_size,
              kBlockTokens),
        ids(DType::kI32, {o.prefill_chunk}),
        positions(DType::kI32, {o.prefill_chunk}),
        logit_rows(DType::kI32, {o.max_logit_rows}),
        views(cache_views(cache, slots)) {}

  void check_fits(std::span<const int32_t> new_ids) const {
    const int64_t count = static_cast<int64_t>(new_ids.size());
    if (position + count > options.context_size) {
      raise(ErrorKind::kTooLarge,
            "{} tokens after {} do not fit the context of {} tokens; raise --ctx-size", count,
            position, options.context_size);
    }
    for (size_t i = 0; i < new_ids.size(); ++i) {
      if (new_ids[i] < 0 || new_ids[i] >= model.config.vocab_size) {
        bad_input("token {} at position {} is outside the vocabulary of {}", new_ids[i],
                  position + static_cast<int64_t>(i), model.config.vocab_size);
      }
    }
  }

  /// Runs checked tokens as one step; logits of the last `rows` of them.
  TensorView run(std::span<const int32_t> new_ids, int64_t rows) {
    const int64_t count = static_cast<int64_t>(new_ids.size());
    std::copy(new_ids.begin(), new_ids.end(), ids.ptr<int32_t>());
    for (int64_t i = 0; i < count; ++i) {
      positions.ptr<int32_t>()[i] = static_cast<int32_t>(position + i);
    }
    for (int64_t i = 0; i < rows; ++i) {
      logit_rows.ptr<int32_t>()[i] = static_cast<int32_t>(count - rows + i);
    }
    offsets.ptr<int32_t>()[1] = static_cast<int32_t>(count);
    starts.ptr<int32_t>()[0] = static_cast<int32_t>(position);
    const Batch batch{.ids = ids.view().slice(0, count),
                      .positions = positions.view().slice(0, count),
                      .rows = {.offsets = offsets, .starts = starts},
                      .logit_rows = logit_rows.view().slice(0, rows)};
    const TensorView logits = forward(model, *backend, batch, views, activations, probe);
    position += count;
    return logits;
  }
};

Runner::Runner(const Model& model, const RunnerOptions& options) {
  check_options(options);
  impl_ = std::make_unique<Impl>(model, options);
}

Runner::~Runner() = default;

std::span<const float> Runner::prefill(std::span<const int32_t> ids, const Progress& progress) {
  if (ids.empty()) {
    bad_input("nothing to prefill: no tokens");
  }
  impl_->check_fits(ids);
  const size_t chunk = static_cast<size_t>(impl_->options.prefill_chunk);
  for (size_t done = 0; done < ids.size();) {
    const size_t count = std::min(chunk, ids.size() - done);
    const bool last = done + count == ids.size();
    const TensorView logits = impl_->run(ids.subspan(done, count), last ? 1 : 0);
    done += count;
    const bool go_on =
        !progress || progress(static_cast<int64_t>(done), static_cast<int64_t>(ids.size()));
    if (last) {
      return {logits.ptr<float>(), static_cast<size_t>(logits.dim(1))};
    }
    if (!go_on) {
      return {};
    }
  }
  return {};
}

TensorView Runner::step(std::span<const int32_t> ids, int64_t rows) {
  MM_CHECK(0 <= rows && rows <= static_cast<int64_t>(ids.size()));
  MM_CHECK(rows <= impl_->options.max_logit_rows);
  MM_CHECK(static_cast<int64_t>(ids.size()) <= impl_->options.prefill_chunk);
  impl_->check_fits(ids);
  return impl_->run(ids, rows);
}

void Runner::reset() {
  impl_->cache.clear();
  impl_->position = 0;
}

int64_t Runner::position() const {
  return impl_->position;
}
int64_t Runner::context_size() const {
  return impl_->options.context_size;
}
int Runner::threads() const {
  return impl_->pool.size();
}
std::string Runner::backend_name() const {
  return impl_->backend->name();
}
Backend& Runner::backend() {
  return *impl_->backend;
}
ThreadPool& Runner::pool() {
  return impl_->pool;
}
const Model& Runner::model() const {
  return impl_->model;
}
void Runner::set_probe(const Probe* probe) {
  impl_->probe = probe;
}

int64_t Runner::workspace_bytes() const {
  const RunnerOptions& o = impl_->options;
  return impl_->cache.bytes() +
         activation_bytes(impl_->model.config, o.compute, o.prefill_chunk, o.max_logit_rows);
}

}  // namespace mm
