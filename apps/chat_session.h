/// A conversation on an engine.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/generation.h"
#include "engine/prompt.h"
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

  /// Forgets all messages but keeps the system text.
  void clear();
  /// Sets the system text ("" for none) and begins a new conversation.
  void set_system(const std::string& text);
  const std::string& system() const { return system_; }

  int64_t turns() const { return turns_; }
  int64_t context_used() const { return used_; }
  int64_t context_size() const { return engine_.context_size(); }

 private:
  const Session& session_;
  const PromptBuilder& prompts_;
  Engine& engine_;
  std::string system_;
  std::vector<ChatMessage> messages_;
  int64_t used_ = 0;
  int64_t turns_ = 0;
};

}  // namespace mm::cli
