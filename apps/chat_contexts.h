/// /save and /load of a chat: conversations as durable contexts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/context_append.h"
#include "engine/turn_frame.h"
#include "session.h"

namespace mm::cli {

/// A conversation from a context.
struct LoadedChat {
  std::vector<int32_t> ids;
  bool turn_is_open = false;  ///< they end within the user's turn
};

/// The contexts of one chat. What only they need of the model (its hash, how its template frames a
/// turn) is found out at the first use.
class ChatContexts {
 public:
  /// Borrows all three for its lifetime. `folder`: where contexts are; empty: the default.
  ChatContexts(const Session& session, const PromptBuilder& prompts, Engine& engine,
               std::string folder)
      : session_(session), prompts_(prompts), engine_(engine), folder_(std::move(folder)) {}

  /// Makes a conversation that ends with an answer the content of `name`, which is new or holds the
  /// beginning of it; what the engine has cached is not computed again. Throws kBadInput if it
  /// holds something else or another model's numbers, kIo.
  AppendResult save(const std::string& name, const std::vector<int32_t>& ids,
                    const AppendOptions& options);
  /// Reads a context into the engine's cache. Throws kNotFound, kBadInput if it is raw, incomplete,
  /// damaged or another model's, kTooLarge if it does not fit.
  LoadedChat load(const std::string& name);

  /// What turns are framed with. Throws what find_turn_frame() throws.
  const TurnFrame& frame();

 private:
  ContextBinding binding();

  const Session& session_;
  const PromptBuilder& prompts_;
  Engine& engine_;
  std::string folder_;
  std::string model_hash_;
  std::optional<TurnFrame> frame_;
};

}  // namespace mm::cli
