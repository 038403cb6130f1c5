#include "serve/chat_answer.h"

#include <optional>
#include <utility>

#include "serve/call_grammar.h"

namespace mm {

namespace {

bool is_demanded(const ChatFields& chat) {
  return chat.tools.demand.form != ToolFormat::kNone;
}

/// Ids of the markers in answers that texts would otherwise leave out (GenerationRequest).
std::vector<int32_t> find_markers(const ServedModel& model, ToolFormat format, bool tools) {
  std::vector<std::string> markers;
  if (format == ToolFormat::kM1) {
    markers = {"<think>", "</think>", "<tool_calls>", "</tool_calls>"};
  } else if (tools) {
    markers = {calls_marker(format)};
  }
  std::vector<int32_t> ids;
  for (const std::string& marker : markers) {
    if (const std::optional<int32_t> id = model.tokenizer->find(marker)) {
      ids.push_back(*id);
    }
  }
  return ids;
}

/// Calls that must come. Grammars are of text: a closing that is a marker ends the answer.
ChatAnswer prepare_calls(const CallDemand& demand, const ServedModel& model,
                         GenerationRequest& request) {
  const CallForm& form = call_form(demand.form);
  const std::optional<int32_t> closing = model.tokenizer->find(form.closing);
  const bool is_marker = closing && model.tokenizer->is_special(*closing);
  if (is_marker) {
    request.stop_ids.push_back(*closing);
  }
  ChatAnswer answer;
  answer.format = make_call_format(demand, !is_marker);
  answer.parser = {.format = demand.form, .tools = true, .begun = std::string(form.opening)};
  prepare_for_format(answer.format, false, request);
  return answer;
}

}  // namespace

std::string render_chat(const ChatFields& chat, const ServedModel& model) {
  std::string text = chat_prompts(model).render(chat.messages, chat.tools.told);
  if (is_demanded(chat)) {
    text += call_form(chat.tools.demand.form).opening;
  }
  return text;
}

std::vector<int32_t> encode_chat(const ChatFields& chat, const ServedModel& model) {
  return model.tokenizer->encode(render_chat(chat, model));
}

ChatAnswer prepare_chat_answer(const ChatFields& chat, AnswerFormat asked, const ServedModel& model,
                               GenerationRequest& request) {
  const bool has_tools = !chat.tools.told.is_null();
  prepare_for_format(asked, has_tools || is_demanded(chat), request);
  if (is_demanded(chat)) {
    return prepare_calls(chat.tools.demand, model, request);
  }
  ChatAnswer answer;
  const bool is_free = asked.kind == AnswerFormat::Kind::kAny;
  answer.parser.format = is_free ? model.tool_format : ToolFormat::kNone;
  answer.parser.tools = has_tools;
  answer.parser.most_calls = chat.tools.most_calls;
  request.shown_ids = find_markers(model, answer.parser.format, has_tools);
  answer.format = std::move(asked);
  return answer;
}

}  // namespace mm
