/// From a conversation to token ids.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json_value.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"

namespace mm {

/// One message of a conversation.
struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant", and of results "tool" or "function"
  std::string content;
  std::string name = {};  ///< of the tool whose result this is
};

/// Renders conversations with a model's chat template and encodes them.
class PromptBuilder {
 public:
  /// Loads the folder's template. `tokenizer` must outlive this object.
  /// Throws kNotFound when the folder has no template, saying how to do without one.
  PromptBuilder(const std::string& folder, const Tokenizer& tokenizer);
  PromptBuilder(ChatTemplate chat_template, const Tokenizer& tokenizer)
      : template_(std::move(chat_template)), tokenizer_(tokenizer) {}

  /// The conversation as text, with the model's turn opened at its end.
  /// `tools`: a list of bare function objects (name, description, parameters), or null.
  std::string render(const std::vector<ChatMessage>& messages, const Json& tools = Json()) const;
  /// The ids of render(). Markers in the text become their ids, those of the template and those
  /// that a message spells out alike.
  std::vector<int32_t> encode(const std::vector<ChatMessage>& messages,
                              const Json& tools = Json()) const;
  /// Whether the template tells the model of tools.
  bool accepts_tools() const { return template_.accepts_tools(); }

 private:
  ChatTemplate template_;
  const Tokenizer& tokenizer_;
};

}  // namespace mm
