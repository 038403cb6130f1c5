/// One sequence on one model: prefill in chunks, decode token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/thread_pool.h"
#include "model/activations.h"
#include "model/model.h"
#include "model/probe.h"
#include "ops/backend.h"

namespace mm {

struct RunnerOptions {
  Device device{};      ///< where the model lies and steps run
  bool graphs = false;  ///< let a device play decoding steps back from records
  bool overlap = true;  ///< let kernels of a device begin while the one before ends
  /// On an accelerator: prefill of a new sequence has the same bits in chunks of any length, which
  /// must be a multiple of 64, and decoding those of any other run.
  bool deterministic = false;
  int threads = 0;         ///< 0: one per available core
  bool reference = false;  ///< the plain-loop oracle instead of the CPU backend
  ComputeType compute = ComputeType::kBf16;
  DType kv_dtype = DType::kBf16;  ///< f32, bf16, e4m3 or i8
  int64_t context_size = 0;       ///< most positions of the sequence; must be > 0
  int64_t prefill_chunk = 512;    ///< tokens per step
  int64_t max_logit_rows = 1;     ///< most rows of logits that one step may return
};

class Runner {
 public:
  /// Allocates caches and workspaces. `model` must outlive the runner.
  /// Throws kBadInput for an option out of range, kOutOfMemory, kUnsupported for a device that
  /// cannot be used.
  Runner(const Model& model, const RunnerOptions& options);
  ~Runner();

  /// Called after each chunk with (tokens done, tokens in all); returning false stops the prefill
  /// between chunks.
  using Progress = std::function<bool(int64_t done, int64_t total)>;

  /// Appends tokens. Returns f32 logits [V] of the last one, valid until the next call; an empty
  /// span if progress stopped it (the sequence then holds what was done: position()).
  /// Throws kTooLarge when the context would overflow, kBadInput for an id outside the vocabulary;
  /// the sequence is then unchanged.
  std::span<const float> prefill(std::span<const int32_t> ids, const Progress& progress = {});

  /// Appends one chunk (at most prefill_chunk tokens) in one step and returns the logits of its
  /// last `rows` tokens, f32 [rows, V].
  TensorView step(std::span<const int32_t> ids, int64_t rows);

  /// Forgets the sequence.
  void reset();

  int64_t position() const;  ///< tokens in the sequence
  int64_t context_size() const;
  int threads() const;
  std::string backend_name() const;
  Backend& backend();
  ThreadPool& pool();
  const Model& model() const;
  void set_probe(const Probe* probe);

  /// Bytes held besides the weights: workspaces, states, and pages for a full context.
  int64_t workspace_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mm
