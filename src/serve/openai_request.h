/// Requests in OpenAI's form, read whole: what to generate and how to write the answer.
#pragma once

#include <string>
#include <vector>

#include "engine/prompt.h"
#include "serve/generation_job.h"
#include "serve/json_fields.h"
#include "serve/openai_answer.h"
#include "serve/served_model.h"

namespace mm {

struct OpenAiRequest {
  std::string context;             ///< a durable context that the chat goes on from; empty: none
  std::vector<ChatMessage> turns;  ///< of such a chat, whose requests have no prompt yet
  GenerationJobOptions job;
  OpenAiAnswerOptions answer;
};

// Both throw ApiError that names the field.
OpenAiRequest read_chat_request(const JsonFields& body, const ServedModel& model);
OpenAiRequest read_completion_request(const JsonFields& body, const ServedModel& model);

}  // namespace mm
