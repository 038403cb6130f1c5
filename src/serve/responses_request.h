/// Requests in the form of OpenAI's Responses, read whole.
#pragma once

#include "serve/generation_job.h"
#include "serve/json_fields.h"
#include "serve/responses_answer.h"
#include "serve/served_model.h"

namespace mm {

struct ResponsesRequest {
  GenerationJobOptions job;  ///< one choice
  ResponsesAnswerOptions answer;
};

/// Throws ApiError that names the field.
ResponsesRequest read_responses_request(const JsonFields& body, const ServedModel& model);

}  // namespace mm
