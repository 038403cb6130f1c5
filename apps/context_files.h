/// What the actions of `minimax context` share: the flags, the store, and what a context's notes
/// say of its conversation.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/durable_context.h"
#include "engine/turn_frame.h"
#include "session.h"

namespace mm::cli {

/// Flags of every action.
struct StoreFlags {
  CommonFlags common;
  std::string folder;  ///< empty: the default
  std::string name;
};
void add_store_flags(CLI::App& command, StoreFlags& flags);
void add_store_folder_flag(CLI::App& command, std::string& folder);
/// Of a folder, or of the default one if `folder` is empty.
ContextStore open_store(const std::string& folder);

/// Where a context's conversation stands, kept in its metadata.
struct ContextNotes {
  bool raw = false;          ///< no chat template
  bool turn_is_open = true;  ///< the user's turn, of which the context is the beginning
  /// An append that was begun: what the context will be, so that it can be resumed.
  int64_t pending_tokens = 0;  ///< in all when done; 0: none
  std::string pending_hash;    ///< of their ids
  int64_t pending_begin = 0;   ///< tokens before it

  static ContextNotes read(const ContextManifest& manifest);
  /// Writes them over `metadata`, whose other entries stay.
  void write(ContextMetadata& metadata) const;
};

/// Throws kBadInput, saying how to go on, if an append was interrupted.
void check_complete(const std::string& name, const ContextManifest& manifest);

/// Hash of token ids, for ContextNotes.
std::string hash_tokens(const std::vector<int32_t>& ids);

/// append_to_context() with notes that say what is coming before it comes, so that the same append
/// can go on after a crash. `notes`: those of the finished context.
AppendResult write_context(Engine& engine, ContextWriter& writer, const ContextReader* stored,
                           const std::vector<int32_t>& tokens, ContextNotes notes,
                           AppendOptions options);

/// A model that computes contexts.
struct ContextModel {
  Session session;
  std::optional<TurnFrame> frame;  ///< none for raw contexts
  std::string model_hash;

  /// Loads the model; its chat template too unless `raw`.
  ContextModel(const ModelFlags& flags, bool raw, bool quiet);
  std::vector<int32_t> encode(const std::string& text) const;
};

/// An engine for one sequence of `tokens` tokens.
EngineOptions context_engine_options(const ModelFlags& flags, const CacheFlags& cache,
                                     int64_t tokens);

/// "12,345".
std::string group_digits(int64_t value);

}  // namespace mm::cli
