/// Writing durable contexts: tokens computed by an engine's steps, stored segment by segment.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "cache/context_store.h"
#include "engine/durable_context.h"
#include "engine/engine.h"

namespace mm {

struct AppendOptions {
  int64_t segment_tokens = 0;  ///< a checkpoint and a commit each time; 0: the engine's interval
  std::function<void(int64_t done, int64_t total)> progress;  ///< tokens of the whole context
  std::function<bool()> cancelled;  ///< asked between steps, by append_to_context()
  std::function<void()> on_end;     ///< called once, by ContextAppend
  /// Committed before anything is computed, if there is something to compute.
  std::optional<ContextMetadata> first_metadata;
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
/// it was cut and has no state where its stored part ends, that is computed and stored on the way,
/// so that nobody need replay it again; `tokens` may be those it has already.
///
/// Engine::step() does the work, among that of others: a segment is written within the step that
/// completes it. One thread at a time, the engine's.
class ContextAppend {
 public:
  /// `stored` is what the context holds already; null for a new one. All that is given must outlive
  /// the append. Throws kBadInput if `tokens` do not begin with the stored ones.
  ContextAppend(ContextWriter& writer, const ContextReader* stored, std::span<const int32_t> tokens,
                AppendOptions options);
  /// Between two steps, and not before it has ended or while it was not started.
  ~ContextAppend();
  ContextAppend(const ContextAppend&) = delete;
  ContextAppend& operator=(const ContextAppend&) = delete;

  /// Loads what is stored and queues the rest; ends at once if there is none. Throws what
  /// LoadedContext, ContextWriter::commit and Engine::submit throw; it has then not been started.
  void start(Engine& engine);
  /// Ends it in one of the next steps, unfinished. May be called from `progress`.
  void cancel(Engine& engine);

  bool ended() const { return ended_; }
  /// After the end. Throws what the append failed with: of the writer's errors, or kInternal.
  const AppendResult& result() const;

 private:
  class Sink;

  EngineRequest make_request(Engine& engine);
  void on_event(const Event& event);
  void end(const std::string& error);
  void complete();

  ContextWriter& writer_;
  const ContextReader* stored_;
  std::span<const int32_t> tokens_;
  int64_t whole_;  // tokens in whole blocks
  AppendOptions options_;
  std::optional<LoadedContext> loaded_;
  std::unique_ptr<Sink> sink_;
  std::optional<RequestId> id_;
  AppendResult result_;
  std::exception_ptr failure_;
  bool ended_ = false;
  double start_ = 0;  // seconds on the steady clock
};

/// A ContextAppend from start to end, with all steps that it takes. Throws what that throws.
AppendResult append_to_context(Engine& engine, ContextWriter& writer, const ContextReader* stored,
                               std::span<const int32_t> tokens, AppendOptions options);

}  // namespace mm
