/// A conversation on an engine.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/generation.h"
#include "engine/prompt.h"
#include "engine/turn_frame.h"
#include "session.h"

namespace mm::cli {

/// Messages, sent anew with every turn: what the engine has cached of them is not computed again.
class ChatSession {
 public:
  /// Borrows all three for its lifetime.
  ChatSession(const Session& session, const PromptBuilder& prompts, Engine& engine)
      : session_(session), prompts_(prompts), engine_(engine) {}

  /// Adds a user message, generates the answer and adds it. If no answer was begun (cancelled or an
  /// exception), the message is taken back. `request` gives sampling and limits; its prompt is
  /// filled here.
  GenerationResult ask(const std::string& text, GenerationRequest request,
                       const GenerationCallbacks& callbacks,
                       const std::function<bool()>& cancelled);

  /// From now on a turn is added to the ids of the conversation instead of sending all messages
  /// anew, so that what was saved of it stays its beginning. Until clear().
  void grow(const TurnFrame& frame) { frame_ = frame; }
  /// Goes on from a stored conversation, whose system text is among its ids. `turn_is_open`: they
  /// end within the user's turn.
  void resume(std::vector<int32_t> ids, bool turn_is_open, const TurnFrame& frame);
  /// The last prompt and its answer, without the stop id that ended it. Empty before an answer.
  const std::vector<int32_t>& ids() const { return ids_; }

  /// Forgets all messages but keeps the system text.
  void clear();
  /// Sets the system text ("" for none) and begins a new conversation.
  void set_system(const std::string& text);
  const std::string& system() const { return system_; }

  int64_t turns() const { return turns_; }
  int64_t context_used() const { return used_; }
  int64_t context_size() const { return engine_.context_size(); }

 private:
  std::vector<int32_t> make_prompt(const std::vector<ChatMessage>& messages) const;

  const Session& session_;
  const PromptBuilder& prompts_;
  Engine& engine_;
  std::string system_;
  std::vector<ChatMessage> messages_;
  std::vector<int32_t> ids_;
  std::optional<TurnFrame> frame_;  ///< of conversations that grow by ids
  bool turn_is_open_ = false;       ///< `ids_` end within the user's turn
  int64_t stored_ = 0;              ///< of `ids_`: computed before, elsewhere
  int64_t used_ = 0;
  int64_t turns_ = 0;
};

}  // namespace mm::cli
