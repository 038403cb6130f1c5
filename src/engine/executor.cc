#include "engine/executor.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "engine/step_inputs.h"
#include "model/forward.h"
#include "ops/cpu/backend.h"
#include "ops/cuda/backend.h"
#include "ops/reference/backend.h"
#include "ops/repeater.h"
#include "ops/step_kind.h"

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

std::unique_ptr<Backend> make_own_backend(const ExecutorOptions& options, ThreadPool& pool) {
  if (options.reference) {
    MM_CHECK(options.device.is_host(), "the reference runs on the host");
    return make_reference_backend();
  }
  if (options.device.is_host())
    return make_cpu_backend(pool);
  return make_cuda_backend({.device = options.device.index,
                            .deterministic = options.deterministic,
                            .overlap = options.overlap});
}

std::unique_ptr<Backend> make_backend(const ExecutorOptions& options, ThreadPool& pool) {
  std::unique_ptr<Backend> backend = make_own_backend(options, pool);
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
  return activation_bytes(config, options.compute, options.max_rows, options.max_logit_rows,
                          options.device);
}

struct Executor::Impl {
  const Model& model;
  ExecutorOptions options;
  ThreadPool pool;
  std::unique_ptr<Backend> backend;
  Repeater* repeater;         // the backend, if it can repeat and is asked to
  StepAware* step_aware;      // the backend, if it wants to know what a step is
  TokenDrawer* token_drawer;  // the backend, if it can draw
  Activations activations;
  CacheStorage storage;
  CacheViews views;
  const Probe* probe = nullptr;
  StepInputs inputs;
  TensorView logits;          // of the last step
  Tensor host_logits;         // empty where steps run on the host, as these
  std::vector<bool> fetched;  // which rows of host_logits are those of the last step
  Tensor device_ids, host_ids;
  std::vector<HostTokenDrawer> drawers;  // of each thread
  bool pending = false;                  // a step has not been waited for

  Impl(const Model& m, const ExecutorOptions& o, const CacheShape& shape, const CacheSizes& sizes)
      : model(m),
        options(o),
        pool(o.threads == 0 ? available_cores() : o.threads),
        backend(make_backend(o, pool)),
        repeater(o.graphs ? dynamic_cast<Repeater*>(backend.get()) : nullptr),
        step_aware(o.deterministic ? dynamic_cast<StepAware*>(backend.get()) : nullptr),
        token_drawer(dynamic_cast<TokenDrawer*>(backend.get())),
        activations(m.config, o.compute, o.max_rows, o.max_logit_rows, o.device),
        storage(shape, sizes, o.device),
        views(cache_views(storage)),
        inputs(o, sizes.pages) {
    if (!o.device.is_host()) {
      host_logits =
          Tensor::for_copies(DType::kF32, {o.max_logit_rows, m.config.vocab_size}, o.device);
      device_ids = Tensor(DType::kI32, {o.max_logit_rows}, o.device);
      host_ids = Tensor::for_copies(DType::kI32, {o.max_logit_rows}, o.device);
    }
  }

  /// A step that only decodes depends on the number of sequences and on the width of the block
  /// table alone, besides what lies in the inputs and the cache.
  TensorView forward_or_repeat(const Batch& batch) {
    const int64_t rows = batch.ids.dim(0);
    const int64_t wanted = batch.logit_rows.dim(0);
    const bool single = rows == batch.rows.starts.dim(0);
    const bool decodes = single && rows == wanted;
    if (step_aware != nullptr) {
      step_aware->begin_step(single ? StepKind::kDecode : StepKind::kPrefill);
    }
    if (repeater == nullptr || probe != nullptr || !decodes) {
      return forward(model, *backend, batch, views, activations, probe);
    }
    const auto key =
        static_cast<uint64_t>(rows) << 32 | static_cast<uint64_t>(views.block_table.dim(1));
    repeater->repeat(key, [&] { forward(model, *backend, batch, views, activations); });
    return activations.logits.view().slice(0, wanted);
  }

  void start(std::span<const StepRows> parts) {
    use_device(options.device);  // steps may come from any thread
    wait_for_step();
    pending = true;
    logits = forward_or_repeat(inputs.write(parts, views));
    fetched.assign(static_cast<size_t>(logits.dim(0)), options.device.is_host());
  }

  /// A step without logits is waited for too: its errors are its own, and the next one may write
  /// the inputs.
  void wait_for_step() {
    if (pending && !options.device.is_host()) {
      wait_for(options.device);
    }
    pending = false;
  }

  TensorView finish() {
    if (options.device.is_host()) {
      pending = false;
      return logits;
    }
    const TensorView result = host_logits.view().slice(0, logits.dim(0));
    queue_copy(result.data, Device{}, logits.data, options.device, logits.bytes());
    wait_for_step();
    fetched.assign(fetched.size(), true);
    return result;
  }

  std::span<const float> row(int64_t index) const {
    const TensorView& rows = options.device.is_host() ? logits : host_logits.view();
    return {rows.at(index).ptr<float>(), static_cast<size_t>(logits.dim(1))};
  }

  /// Makes a row of a step that has been waited for one that row() may read.
  void fetch(int64_t index) {
    if (fetched[static_cast<size_t>(index)]) {
      return;
    }
    const TensorView from = logits.at(index);
    copy_bytes(host_logits.view().at(index).data, Device{}, from.data, options.device,
               from.bytes());
    fetched[static_cast<size_t>(index)] = true;
  }

  void draw(std::span<const TokenDraw> draws, std::span<int32_t> ids) {
    const auto count = static_cast<int64_t>(draws.size());
    MM_CHECK(count == logits.dim(0) && ids.size() == draws.size(),
             "{} draws from {} rows for {} ids", count, logits.dim(0), ids.size());
    std::fill(ids.begin(), ids.end(), kTooManyCandidates);
    if (token_drawer == nullptr) {
      finish();
    } else if (count > 0) {
      const TensorView drawn = device_ids.view().slice(0, count);
      const TensorView host = host_ids.view().slice(0, count);
      token_drawer->draw_tokens(logits, draws, drawn);
      queue_copy(host.data, Device{}, drawn.data, options.device, host.bytes());
      wait_for_step();
      std::copy_n(host.ptr<int32_t>(), count, ids.begin());
    }
    wait_for_step();
    draw_rest_on_host(draws, ids);
  }

  /// Rows are independent, so threads share out those without an id: all where the backend cannot
  /// draw, else few.
  void draw_rest_on_host(std::span<const TokenDraw> draws, std::span<int32_t> ids) {
    const auto is_left = [&](size_t n) { return ids[n] == kTooManyCandidates; };
    if (std::find(ids.begin(), ids.end(), kTooManyCandidates) == ids.end()) {
      return;
    }
    for (size_t n = 0; n < ids.size(); ++n) {
      if (is_left(n)) {
        fetch(static_cast<int64_t>(n));
      }
    }
    drawers.resize(static_cast<size_t>(pool.size()), HostTokenDrawer(model.config.vocab_size));
    const auto draw_rows = [&](int64_t begin, int64_t end, int thread) {
      for (int64_t i = begin; i < end; ++i) {
        const auto n = static_cast<size_t>(i);
        if (is_left(n)) {
          ids[n] = drawers[static_cast<size_t>(thread)].draw(row(i), draws[n]);
        }
      }
    };
    pool.parallel_for(static_cast<int64_t>(draws.size()), 1, draw_rows);
  }
};

Executor::Executor(const Model& model, const ExecutorOptions& options, const CacheShape& shape,
                   const CacheSizes& sizes)
    : impl_(std::make_unique<Impl>(model, options, shape, sizes)) {}

Executor::~Executor() = default;

void Executor::start(std::span<const StepRows> parts) {
  impl_->start(parts);
}
TensorView Executor::finish() {
  return impl_->finish();
}
TensorView Executor::run(std::span<const StepRows> parts) {
  impl_->start(parts);
  return impl_->finish();
}
void Executor::draw(std::span<const TokenDraw> draws, std::span<int32_t> ids) {
  impl_->draw(draws, ids);
}
std::span<const float> Executor::logits(int64_t row) {
  impl_->fetch(row);
  return impl_->row(row);
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
