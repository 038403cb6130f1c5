/// Durable contexts on an engine: what the files of cache/context_store hold, computed and gone on
/// from.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cache/context_store.h"
#include "engine/engine.h"

namespace mm {

/// What a context must be bound to so that this engine computes the numbers that are in it.
/// `model_hash` is that of hash_model_folder().
ContextBinding context_binding(const Engine& engine, const std::string& model_hash);

/// How recurrent states are stored; replay_tokens > 0 leaves out the heads that forget everything
/// within so many tokens (state_codec.h).
StateCodec make_state_codec(const Model& model, StateFormat format, int64_t replay_tokens);

/// The stored part of a context in an engine's cache, kept there while this lives.
class LoadedContext {
 public:
  /// Loads pages and state up to the last checkpoint that a prompt with `tokens` tokens in common
  /// with the context can go on from. Throws kTooLarge if that does not fit, kBadInput if a file is
  /// damaged, kIo.
  LoadedContext(Engine& engine, const ContextReader& reader, int64_t tokens);
  ~LoadedContext();
  LoadedContext(const LoadedContext&) = delete;
  LoadedContext& operator=(const LoadedContext&) = delete;

  int64_t position() const { return position_; }  ///< tokens that need no computing
  int64_t bytes() const { return bytes_; }        ///< of pages and states that were read
  double seconds() const { return seconds_; }     ///< it took

 private:
  Engine& engine_;
  int64_t position_ = 0;
  int64_t bytes_ = 0;
  double seconds_ = 0;
  uint64_t pin_ = 0;
};

struct AppendOptions {
  int64_t segment_tokens = 0;  ///< a checkpoint and a commit each time; 0: the engine's interval
  std::function<void(int64_t done, int64_t total)> progress;  ///< tokens of the whole context
  std::function<bool()> cancelled;                            ///< asked between steps
  ContextMetadata final_metadata;  ///< committed together with the last token
};

struct AppendResult {
  bool finished = false;  ///< false: cancelled; what was committed stays
  Usage usage;
  double seconds = 0;        ///< in all
  double write_seconds = 0;  ///< of them on the disk
};

/// Makes `tokens` the content of a context whose first writer.token_count() tokens they repeat:
/// computes what is missing and commits segment by segment, so that a crash loses at most one. If
/// it was cut and has no state where its stored part ends, that is computed and stored first, so
/// that nobody need replay it again; `tokens` may be those it has already. `stored` is what the
/// context holds already; null for a new one. Throws kBadInput if `tokens` do not begin with the
/// stored ones, what Engine::submit and ContextWriter throw.
AppendResult append_to_context(Engine& engine, ContextWriter& writer, const ContextReader* stored,
                               std::span<const int32_t> tokens, const AppendOptions& options);

}  // namespace mm
