/// /v1/completions and /v1/chat/completions, as OpenAI has them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/prompt.h"
#include "serve/json_fields.h"
#include "serve/router.h"
#include "serve/served_model.h"

namespace mm {

/// The conversation in a body's `messages`: contents are strings or lists of text parts, whose
/// texts are joined. Throws ApiError 400 that names the field.
std::vector<ChatMessage> read_messages(const JsonFields& body);

/// The model's chat template. Throws ApiError 400 when the folder has none.
const PromptBuilder& chat_prompts(const ServedModel& model);

void add_openai_routes(Router& router, const std::shared_ptr<ServerState>& state);

}  // namespace mm
