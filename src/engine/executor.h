/// Runs steps: rows of many sequences through the model at once, over one cache storage.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/thread_pool.h"
#include "cache/cache_storage.h"
#include "model/activations.h"
#include "model/model.h"
#include "model/probe.h"
#include "ops/backend.h"
#include "ops/token_draw.h"

namespace mm {

struct ExecutorOptions {
  Device device{};             ///< where weights and cache lie and steps run
  bool graphs = false;         ///< let a device play decoding steps back from records
  bool overlap = true;         ///< let kernels of a device begin while the one before ends
  bool deterministic = false;  ///< an accelerator's bits do not depend on who shares a step
  int threads = 0;             ///< 0: one per available core
  bool reference = false;      ///< the plain-loop oracle instead of the CPU backend
  ComputeType compute = ComputeType::kBf16;
  int64_t max_rows = 512;      ///< tokens of one step
  int64_t max_logit_rows = 1;  ///< rows of logits of one step
  int max_sequences = 1;       ///< of one step
  /// Puts another backend in front of the executor's own, to watch what it is asked; empty: none.
  std::function<std::unique_ptr<Backend>(std::unique_ptr<Backend>)> wrap_backend{};
};

/// One sequence's part of a step: `tokens` stand at positions `start`, … of it.
struct StepRows {
  std::span<const int32_t> tokens;
  int64_t start = 0;
  int slot = 0;                    ///< row of live states and tails
  std::span<const int32_t> pages;  ///< page of each block of 64 positions, up to the last token
  int64_t logits = 0;              ///< for this many of the last tokens
};

/// The cache shape of a model: its layers, with keys and values kept as `kv_dtype`. Throws
/// kUnsupported unless that is f32, bf16, fp8 or int8.
CacheShape cache_shape(const ModelConfig& config, ComputeType compute, DType kv_dtype);

/// Bytes an Executor holds besides weights and cache, scratch of the operations not counted.
int64_t workspace_bytes(const ModelConfig& config, const ExecutorOptions& options);

/// Nothing is allocated by run() once a step of every size has run.
class Executor {
 public:
  /// `model` must outlive the executor and lie on its device (model/upload.h). Throws kOutOfMemory,
  /// kBadInput for a number of threads, kUnsupported for a device that cannot be used.
  Executor(const Model& model, const ExecutorOptions& options, const CacheShape& shape,
           const CacheSizes& sizes);
  ~Executor();

  /// Begins one step over all parts, which makes rows of logits, as many as StepRows::logits say,
  /// in order of parts; finish() or draw() ends it. With `deterministic`, a step must not mix
  /// single rows with longer parts.
  void start(std::span<const StepRows> parts);
  /// The cache then holds the new rows. Returns f32 logits [rows, V] in host memory, valid until
  /// the next step.
  TensorView finish();
  /// start() and finish().
  TensorView run(std::span<const StepRows> parts);

  /// Ends a step as finish() does, but for the logits: those stay where they are, and an id, or
  /// kNoToken, is drawn from each row, with draws[i] from row i.
  void draw(std::span<const TokenDraw> draws, std::span<int32_t> ids);
  /// A row of logits f32 [V] of the last step, valid until the next one.
  std::span<const float> logits(int64_t row);

  const CacheStorage& storage() const;
  const Model& model() const;
  const ExecutorOptions& options() const;
  Backend& backend();
  ThreadPool& pool();
  void set_probe(const Probe* probe);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mm
