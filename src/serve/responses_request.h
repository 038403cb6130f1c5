/// Requests in the form of OpenAI's Responses, read whole.
#pragma once

#include <string>
#include <vector>

#include "engine/prompt.h"
#include "serve/generation_job.h"
#include "serve/json_fields.h"
#include "serve/responses_answer.h"
#include "serve/served_model.h"

namespace mm {

struct ResponsesRequest {
  std::string context;             ///< a durable context that `input` goes on from; empty: none
  std::vector<ChatMessage> turns;  ///< of such a request, which has no prompt yet
  GenerationJobOptions job;        ///< one choice
  ResponsesAnswerOptions answer;
};

/// Throws ApiError that names the field.
ResponsesRequest read_responses_request(const JsonFields& body, const ServedModel& model);

}  // namespace mm
