#include "engine/runner.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "engine/executor.h"

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
  if (options.deterministic && options.prefill_chunk % kBlockTokens != 0) {
    bad_input("prefill chunk {} is not deterministic, expected a multiple of {}",
              options.prefill_chunk, kBlockTokens);
  }
}

ExecutorOptions executor_options(const RunnerOptions& options) {
  return {.device = options.device,
          .graphs = options.graphs,
          .overlap = options.overlap,
          .deterministic = options.deterministic,
          .threads = options.threads,
          .reference = options.reference,
          .compute = options.compute,
          .max_rows = options.prefill_chunk,
          .max_logit_rows = options.max_logit_rows};
}

// One sequence: as many pages as its context has blocks, and nothing kept beside it.
CacheSizes cache_sizes(const RunnerOptions& options) {
  return {.pages = (options.context_size + kBlockTokens - 1) / kBlockTokens, .live = 1};
}

}  // namespace

struct Runner::Impl {
  const Model& model;
  RunnerOptions options;
  Executor executor;
  std::vector<int32_t> pages;  // page i is block i
  int64_t position = 0;

  Impl(const Model& m, const RunnerOptions& o)
      : model(m),
        options(o),
        executor(m, executor_options(o), cache_shape(m.config, o.compute, o.kv_dtype),
                 cache_sizes(o)),
        pages(static_cast<size_t>(cache_sizes(o).pages)) {
    std::iota(pages.begin(), pages.end(), 0);
  }

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
    const int64_t end = position + static_cast<int64_t>(new_ids.size());
    const size_t blocks = static_cast<size_t>((end + kBlockTokens - 1) / kBlockTokens);
    const StepRows part{
        .tokens = new_ids, .start = position, .pages = {pages.data(), blocks}, .logits = rows};
    const TensorView logits = executor.run({&part, 1});
    position = end;
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
    size_t count = std::min(chunk, ids.size() - done);
    if (impl_->options.deterministic && count > 1 && done + count == ids.size() &&
        (impl_->position + static_cast<int64_t>(count)) % kBlockTokens == 1) {
      --count;  // a single row after the last block is a decoding step, whatever came before
    }
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
  impl_->executor.storage().clear_state(0);
  impl_->position = 0;
}

int64_t Runner::position() const {
  return impl_->position;
}
int64_t Runner::context_size() const {
  return impl_->options.context_size;
}
int Runner::threads() const {
  return impl_->executor.pool().size();
}
std::string Runner::backend_name() const {
  return impl_->executor.backend().name();
}
Backend& Runner::backend() {
  return impl_->executor.backend();
}
ThreadPool& Runner::pool() {
  return impl_->executor.pool();
}
const Model& Runner::model() const {
  return impl_->model;
}
void Runner::set_probe(const Probe* probe) {
  impl_->executor.set_probe(probe);
}

int64_t Runner::workspace_bytes() const {
  const RunnerOptions& o = impl_->options;
  return mm::workspace_bytes(impl_->model.config, executor_options(o)) +
         cache_sizes(o).bytes(cache_shape(impl_->model.config, o.compute, o.kv_dtype));
}

}  // namespace mm
