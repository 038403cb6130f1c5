/// What the actions of `minimax context` share: the flags, the store and the model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/context_notes.h"
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
