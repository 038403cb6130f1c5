/// Many sequences on one model: submit requests, call step() until nothing is left.
///
/// Exactness: on the CPU the logits of a request depend on its tokens alone, bit for bit. Not on
/// who shares a step, on chunks, cache hits, forks, preemption or threads.
/// On a CUDA device with `deterministic` the same but for tokens that were drawn and are computed
/// again as part of a prompt (docs/numerics.md).
/// One thread at a time; engine_loop.h has the door for several.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "engine/engine_request.h"
#include "engine/executor.h"

namespace mm {

struct EngineOptions {
  Device device{};             ///< where the model lies and steps run
  bool graphs = false;         ///< let a device play decoding steps back from records
  bool overlap = true;         ///< let kernels of a device begin while the one before ends
  bool deterministic = false;  ///< an accelerator's bits do not depend on who shares a step
  int threads = 0;             ///< 0: one per available core
  bool reference = false;      ///< the plain-loop oracle instead of the CPU backend
  ComputeType compute = ComputeType::kBf16;
  DType kv_dtype = DType::kBf16;
  int64_t context_size = 0;      ///< most tokens of one sequence; 0: what the memory holds
  int max_sequences = 1;         ///< running at once; the others wait
  int64_t step_tokens = 512;     ///< rows of one step; raised to max_sequences + 64 if less
  int64_t memory_bytes = 0;      ///< of all but the weights; 0: max_sequences full contexts
                                 ///< (on an accelerator all that is free, if that is less)
  int64_t checkpoint_every = 0;  ///< tokens, a multiple of 64; 0: chosen by cost
  bool reuse = true;
};

/// What the steps of one kind did.
struct PhaseStats {
  int64_t steps = 0;
  int64_t rows = 0;
  double seconds = 0;  ///< in the model
  double flops = 0;    ///< as StepCost counts them; they outgrow 64 bits within hours
  double bytes = 0;
};

struct EngineStats {
  int64_t running = 0;
  int64_t waiting = 0;
  int64_t slots = 0;  ///< live states: sequences that could run at once
  int64_t free_slots = 0;
  int64_t pages = 0;
  int64_t free_pages = 0;
  int64_t used_pages = 0;    ///< of running sequences and pinned prefixes, shared ones counted once
  int64_t cached_pages = 0;  ///< of blocks in the prefix tree, in use or not
  int64_t checkpoints = 0;
  int64_t free_checkpoints = 0;
  int64_t evicted_pages = 0;
  int64_t evicted_checkpoints = 0;
  int64_t pinned_prefixes = 0;
  int64_t preemptions = 0;
  int64_t steps = 0;
  int64_t step_rows = 0;           ///< over all steps
  PhaseStats prefill, decode;      ///< steps with several tokens of a prompt, and of single tokens
  Usage usage;                     ///< over all requests
  double model_seconds = 0;        ///< in the model
  double bookkeeping_seconds = 0;  ///< in scheduler, cache and copies of states
  int64_t weight_bytes = 0;
  int64_t reserved_bytes = 0;      ///< besides the weights: workspace, states and pages
  int64_t free_device_bytes = -1;  ///< of the accelerator, that nobody holds; -1: on the host
};

/// A part of a cache from elsewhere, e.g. from a file. load_page is called from several threads.
struct ImportedPrefix {
  std::span<const int32_t> tokens;  ///< a multiple of 64 of them
  /// Fills keys and values [G, 2, 64, K] of a block and, if they are quantised, scales [G, 2, 64].
  std::function<void(size_t layer, int64_t block, const TensorView& page, const TensorView& scales)>
      load_page;
  /// Fills the states after the last token: f32 [H, K, K] per layer, empty for softmax layers.
  std::function<void(std::span<const TensorView> states)> load_states;
};

class Engine {
 public:
  /// Reserves everything that will ever be used. `model` must outlive the engine.
  /// Throws kTooLarge with both numbers when the memory budget is too small, kBadInput for an
  /// option out of range, kOutOfMemory, kUnsupported for a device that cannot be used.
  Engine(const Model& model, const EngineOptions& options);
  ~Engine();

  /// Queues a request. Throws kTooLarge with both numbers when prompt and max_tokens cannot fit the
  /// context, kBadInput for an empty prompt, an id outside the vocabulary or sampling parameters
  /// out of range; running requests are not touched.
  RequestId submit(EngineRequest request);
  /// Continues `parent` (running) from its first `at` tokens, then `request.prompt`: its pages are
  /// shared, its state is copied if it still stands at or before `at`, else replayed. Throws
  /// kNotFound if `parent` has ended, kBadInput if it has not come to `at`, and as submit().
  RequestId fork(RequestId parent, int64_t at, EngineRequest request);
  /// Ends a request with kCancelled; what was computed stays in the cache. Nothing happens if it
  /// has ended. May be called from an event.
  void cancel(RequestId id);
  /// Ends all requests now.
  void cancel_all();

  /// Runs one step and delivers its events. False: there was nothing to do.
  bool step();
  bool idle() const;

  /// Puts a prefix into the cache and keeps it there until unpin(). Blocks and checkpoints that are
  /// there already are not loaded. Throws kTooLarge with both numbers if it does not fit, what
  /// load_* throw; the cache is then as before.
  uint64_t import_prefix(const ImportedPrefix& prefix);
  void unpin(uint64_t pin);

  EngineStats stats() const;
  int64_t context_size() const;
  int64_t checkpoint_every() const;
  /// Bytes reserved besides the weights: workspace, states and pages.
  int64_t memory_bytes() const;
  const Model& model() const;
  const CacheShape& cache_shape() const;
  Executor& executor();
  std::string backend_name() const;
  /// Throws kInternal if pages, slots or locks do not add up.
  void check_integrity() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mm
