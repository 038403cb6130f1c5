#include "engine/prompt.h"

#include <ctime>

#include "base/error.h"

namespace mm {

namespace {

ChatTemplate load_template(const std::string& folder) {
  try {
    return load_chat_template(folder);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kNotFound) {
      raise(ErrorKind::kNotFound,
            "{}; without one, text can only be continued as it stands (run --raw)", error.what());
    }
    throw;
  }
}

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm result{};
  localtime_r(&now, &result);
  return result;
}

}  // namespace

PromptBuilder::PromptBuilder(const std::string& folder, const Tokenizer& tokenizer)
    : template_(load_template(folder)), tokenizer_(tokenizer) {}

std::string PromptBuilder::render(const std::vector<ChatMessage>& messages,
                                  const Json& tools) const {
  ChatInput input;
  for (const ChatMessage& message : messages) {
    Json json = {{"role", message.role}, {"content", message.content}};
    if (!message.name.empty()) {
      json["name"] = message.name;
    }
    input.messages.push_back(std::move(json));
  }
  input.tools = tools;
  input.add_generation_prompt = true;
  input.now = local_time();
  return template_.render(input);
}

std::vector<int32_t> PromptBuilder::encode(const std::vector<ChatMessage>& messages,
                                           const Json& tools) const {
  return tokenizer_.encode(render(messages, tools));
}

}  // namespace mm
