/// The conversation and the tools of a chat request, in OpenAI's form.
#pragma once

#include <vector>

#include "engine/prompt.h"
#include "serve/json_fields.h"
#include "serve/served_model.h"
#include "serve/tool_choice.h"

namespace mm {

struct ChatFields {
  ChatFields() = default;  // NOLINT(bugprone-exception-escape): only bad_alloc, which may end us

  std::vector<ChatMessage> messages;
  ToolUse tools;
};

/// Reads messages, tools, tool_choice and parallel_tool_calls. Contents are strings or lists of
/// text parts, whose texts are joined; an assistant's calls become the model's own text, and a
/// tool's result gets its name by tool_call_id. Throws ApiError 400 that names the field.
ChatFields read_chat_fields(const JsonFields& body, ToolFormat format);

/// The elements of `tools`, none without the field. Throws ApiError 400 when there are too many.
std::vector<JsonView> read_tool_list(const JsonFields& body);

/// The `name` of a tool: letters, digits, '_', '-' and '.', which all forms can write. Throws
/// ApiError 400.
std::string read_tool_name(const JsonFields& tool);

/// A call that a client sends back: `name`, and `arguments`, a string that holds a JSON object (or
/// nothing). Throws ApiError 400.
ToolCall read_tool_call(const JsonFields& call);

/// The model's chat template. Throws ApiError 400 when the folder has none.
const PromptBuilder& chat_prompts(const ServedModel& model);

}  // namespace mm
