#include "chat_session.h"

#include <algorithm>

namespace mm::cli {

void ChatSession::clear() {
  messages_.clear();
  held_.clear();
  runner_.reset();
}

void ChatSession::set_system(const std::string& text) {
  system_ = text;
  clear();
}

void ChatSession::split_prompt(GenerationRequest& request) {
  std::vector<int32_t>& prompt = request.prompt;
  const bool extends =
      prompt.size() > held_.size() && std::equal(held_.begin(), held_.end(), prompt.begin());
  if (!extends) {
    held_.clear();
    runner_.reset();
  }
  request.history = held_;
  prompt.erase(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(held_.size()));
}

GenerationResult ChatSession::ask(const std::string& text, GenerationRequest request,
                                  const GenerationCallbacks& callbacks) {
  std::vector<ChatMessage> messages = messages_;
  messages.push_back({"user", text});
  std::vector<ChatMessage> all = messages;
  if (!system_.empty()) {
    all.insert(all.begin(), {"system", system_});
  }
  request.prompt = prompts_.encode(all);
  split_prompt(request);
  GenerationResult result;
  try {
    result = generate(runner_, session_.tokenizer, request, callbacks);
  } catch (...) {
    if (runner_.position() != context_used()) {  // it failed half-way: begin anew next time
      held_.clear();
      runner_.reset();
    }
    throw;
  }
  held_.insert(held_.end(), request.prompt.begin(), request.prompt.begin() + result.prompt_tokens);
  held_.insert(held_.end(), result.ids.begin(), result.ids.begin() + result.fed_tokens);
  if (!result.ids.empty()) {
    messages.push_back({"assistant", result.text});
    messages_ = std::move(messages);
    ++turns_;
  }
  return result;
}

}  // namespace mm::cli
