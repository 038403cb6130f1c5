/// Requests in the form of Anthropic's Messages, read whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "serve/answer_parser.h"
#include "serve/generation_job.h"
#include "serve/json_fields.h"
#include "serve/served_model.h"

namespace mm {

struct AnthropicRequest {
  GenerationJobOptions job;  ///< one choice
  AnswerParserOptions parser;
  bool stream = false;
};

/// Throws ApiError that names the field.
AnthropicRequest read_anthropic_request(const JsonFields& body, const ServedModel& model);

/// The prompt alone: `system`, `messages` and `tools`, in ids. Throws as above.
std::vector<int32_t> read_anthropic_prompt(const JsonFields& body, const ServedModel& model);

}  // namespace mm
