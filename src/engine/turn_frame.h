/// What a chat template puts around the text of messages: for prompts that grow at their end.
#pragma once

#include <string>

#include "engine/prompt.h"

namespace mm {

/// A conversation is before · text · after · answer · between · text · after · answer …
struct TurnFrame {
  std::string before;   ///< up to the first user message's text
  std::string after;    ///< closes a user's turn and opens the model's
  std::string between;  ///< closes the model's turn and opens the user's

  /// What a later user message adds to a conversation that ends within the user's turn (after a
  /// blank line) or with an answer (a new turn).
  std::string next_turn(const std::string& text, bool turn_is_open) const {
    return (turn_is_open ? "\n\n" : between) + text + after;
  }
};

/// Finds the frame by rendering marked messages. Throws kUnsupported for a template that changes
/// what it is given (strips or repeats it), so that text cannot be appended.
TurnFrame find_turn_frame(const PromptBuilder& prompts);

}  // namespace mm
