#include "chat_session.h"

namespace mm::cli {

void ChatSession::clear() {
  messages_.clear();
  used_ = 0;
}

void ChatSession::set_system(const std::string& text) {
  system_ = text;
  clear();
}

GenerationResult ChatSession::ask(const std::string& text, GenerationRequest request,
                                  const GenerationCallbacks& callbacks,
                                  const std::function<bool()>& cancelled) {
  std::vector<ChatMessage> messages = messages_;
  messages.push_back({"user", text});
  std::vector<ChatMessage> all = messages;
  if (!system_.empty()) {
    all.insert(all.begin(), {"system", system_});
  }
  request.prompt = prompts_.encode(all);
  const GenerationResult result =
      generate(engine_, session_.tokenizer, request, callbacks, cancelled);
  if (!result.ids.empty()) {
    used_ = result.usage.prompt_tokens + static_cast<int64_t>(result.ids.size());
    messages.push_back({"assistant", result.text});
    messages_ = std::move(messages);
    ++turns_;
  }
  return result;
}

}  // namespace mm::cli
