#include "chat_session.h"

namespace mm::cli {

void ChatSession::clear() {
  messages_.clear();
  ids_.clear();
  frame_.reset();
  turn_is_open_ = false;
  stored_ = 0;
  used_ = 0;
}

void ChatSession::set_system(const std::string& text) {
  system_ = text;
  clear();
}

void ChatSession::resume(std::vector<int32_t> ids, bool turn_is_open, const TurnFrame& frame) {
  clear();
  ids_ = std::move(ids);
  frame_ = frame;
  turn_is_open_ = turn_is_open;
  stored_ = static_cast<int64_t>(ids_.size());
  used_ = stored_;
}

std::vector<int32_t> ChatSession::make_prompt(const std::vector<ChatMessage>& messages) const {
  if (frame_) {
    const std::vector<int32_t> added =
        session_.tokenizer.encode(frame_->next_turn(messages.back().content, turn_is_open_));
    std::vector<int32_t> prompt = ids_;
    prompt.insert(prompt.end(), added.begin(), added.end());
    return prompt;
  }
  std::vector<ChatMessage> all = messages;
  if (!system_.empty()) {
    all.insert(all.begin(), {"system", system_});
  }
  return prompts_.encode(all);
}

GenerationResult ChatSession::ask(const std::string& text, GenerationRequest request,
                                  const GenerationCallbacks& callbacks,
                                  const std::function<bool()>& cancelled) {
  std::vector<ChatMessage> messages = messages_;
  messages.push_back({"user", text});
  request.prompt = make_prompt(messages);
  request.known_tokens = stored_;
  const GenerationResult result =
      generate(engine_, session_.tokenizer, request, callbacks, cancelled);
  if (!result.ids.empty()) {
    used_ = result.usage.prompt_tokens + static_cast<int64_t>(result.ids.size());
    const std::vector<int32_t> answer = without_stop(result.ids, session_.eos_ids);
    ids_ = request.prompt;
    ids_.insert(ids_.end(), answer.begin(), answer.end());
    turn_is_open_ = false;
    messages.push_back({"assistant", result.text});
    messages_ = std::move(messages);
    ++turns_;
  }
  return result;
}

}  // namespace mm::cli
