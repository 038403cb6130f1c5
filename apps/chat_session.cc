#include "chat_session.h"

#include <algorithm>

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
    // As `minimax context ask` does it: in an open turn after a blank line, else in a new turn.
    const std::string& opening = ids_.empty() ? frame_->before : frame_->between;
    const std::vector<int32_t> added = session_.tokenizer.encode(
        (turn_is_open_ ? "\n\n" : opening) + messages.back().content + frame_->after);
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
    ids_ = request.prompt;
    ids_.insert(ids_.end(), result.ids.begin(), result.ids.end());
    const auto& stops = session_.eos_ids;
    if (std::find(stops.begin(), stops.end(), ids_.back()) != stops.end()) {
      ids_.pop_back();  // what follows closes the turn
    }
    turn_is_open_ = false;
    messages.push_back({"assistant", result.text});
    messages_ = std::move(messages);
    ++turns_;
  }
  return result;
}

}  // namespace mm::cli
