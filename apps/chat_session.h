/// A conversation on one runner: what is remembered between turns and what is computed again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/generation.h"
#include "engine/prompt.h"
#include "session.h"

namespace mm::cli {

/// Messages, and the ids that the runner's sequence holds.
class ChatSession {
 public:
  /// Borrows all three for its lifetime.
  ChatSession(const Session& session, const PromptBuilder& prompts, Runner& runner)
      : session_(session), prompts_(prompts), runner_(runner) {}

  /// Adds a user message, generates the answer and adds it. Prefills only what the runner does not
  /// hold: if the rendered conversation does not begin with the ids it holds, everything is
  /// computed again. If no answer was begun (cancelled or an exception), the message is taken back.
  /// `request` gives sampling and limits; its prompt is filled here.
  GenerationResult ask(const std::string& text, GenerationRequest request,
                       const GenerationCallbacks& callbacks);

  /// Forgets all messages but keeps the system text.
  void clear();
  /// Sets the system text ("" for none) and begins a new conversation.
  void set_system(const std::string& text);
  const std::string& system() const { return system_; }

  int64_t turns() const { return turns_; }
  int64_t context_used() const { return static_cast<int64_t>(held_.size()); }
  int64_t context_size() const { return runner_.context_size(); }

 private:
  /// Moves the ids that the runner holds already from the prompt to the history.
  void split_prompt(GenerationRequest& request);

  const Session& session_;
  const PromptBuilder& prompts_;
  Runner& runner_;
  std::string system_;
  std::vector<ChatMessage> messages_;
  std::vector<int32_t> held_;
  int64_t turns_ = 0;
};

}  // namespace mm::cli
