/// Durable contexts on an engine: what they are bound to, and going on from them.
#pragma once

#include <cstdint>
#include <string>

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

}  // namespace mm
