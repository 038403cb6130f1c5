/// What the engine is asked and what it answers, in token ids.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cache/prefix_cache.h"
#include "engine/request.h"
#include "engine/token_mask.h"
#include "tensor/tensor.h"

namespace mm {

using RequestId = uint64_t;

/// What a request cost. A prompt token is cached (taken over), replayed (computed before, but no
/// state stood at that place) or computed.
struct Usage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t replayed_tokens = 0;
  int64_t computed_tokens = 0;  ///< generated tokens that were fed back included
  int64_t generated_tokens = 0;
  int64_t preemptions = 0;
  ReuseOutcome reuse = ReuseOutcome::kDisabled;  ///< why nothing was cached, if nothing was
};

/// Something that happened to a request. Views are valid during the call only.
struct Event {
  enum class Kind : uint8_t {
    kProgress,  ///< a part of the prompt is done: `done` of `usage.prompt_tokens`
    kToken,     ///< `token` was drawn
    kEnd,       ///< no more events; `reason`
    kError,     ///< no more events; `error`
  };
  Kind kind = Kind::kToken;
  RequestId id = 0;
  int32_t token = -1;
  int64_t done = 0;
  FinishReason reason = FinishReason::kStop;
  std::string error = {};
  Usage usage = {};
  std::span<const float> logits = {};  ///< f32 [V] that `token` was drawn from, if wanted
};
using EventSink = std::function<void(const Event&)>;

/// The cache of a running sequence at a multiple of 64 tokens: what a durable context keeps. Views
/// are of host memory; that of a page is valid until the next page is asked for.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual int64_t position() const = 0;
  virtual std::span<const int32_t> tokens() const = 0;  ///< [position]
  /// Keys and values of block `block` of layer `layer` (a softmax layer), [G, 2, 64, K].
  virtual TensorView page(size_t layer, int64_t block) const = 0;
  /// Their scales f32 [G, 2, 64]; empty if pages are not quantised.
  virtual TensorView page_scales(size_t layer, int64_t block) const = 0;
  /// The state of `layer` (a lightning layer), f32 [H, K, K].
  virtual TensorView state(size_t layer) const = 0;
};

/// A prompt and what to do with it.
struct EngineRequest {
  std::vector<int32_t> prompt = {};
  SamplingParams sampling = {};
  int64_t max_tokens = -1;  ///< -1: until a stop id or the context is full; 0: prefill only
  std::vector<int32_t> stop_ids = {};  ///< end-of-sequence ids
  /// What may be drawn; empty: anything. A stop id may only be drawn if the mask allows it.
  std::shared_ptr<TokenMask> mask = {};
  bool wants_logits = false;  ///< in events of tokens; on a device they are copied for it
  int64_t known_tokens = 0;   ///< leading tokens that were computed before, elsewhere: they count
                              ///< as replayed where they are not cached
  bool may_reuse = true;      ///< may take from the cache and leave checkpoints in it
  /// Positions in the prompt where others may branch off (the end of a system prompt): a checkpoint
  /// is kept at the last multiple of 64 before each.
  std::vector<int64_t> branch_points = {};
  /// Called with the cache at each multiple of this many tokens of the prompt (a multiple of 64; 0:
  /// never) that is computed, and at the prompt's last multiple of 64. What it throws ends the
  /// request.
  int64_t snapshot_every = 0;
  int64_t snapshot_at = 0;  ///< and at this multiple of 64, if it is computed; 0: at none
  std::function<void(const Snapshot&)> on_snapshot = {};
  EventSink on_event = {};
};

}  // namespace mm
