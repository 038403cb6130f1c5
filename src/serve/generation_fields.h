/// The fields that say how to generate, the same in all endpoints of OpenAI's family.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/request.h"
#include "serve/json_fields.h"
#include "serve/served_model.h"

namespace mm {

/// What a request asks for besides its prompt.
struct GenerationFields {
  GenerationRequest request;  ///< without a prompt
  int choices = 1;            ///< n: choice i has the seed + i
  bool stream = false;
  bool include_usage = false;    ///< stream_options.include_usage
  bool return_progress = false;  ///< events while the prompt is read
};

/// Reads n, temperature, top_p, top_k, min_p, seed, stop, logit_bias, penalties, max_tokens (-1
/// when absent), ignore_eos, stream and its options. Absent fields have the model's defaults, the
/// seed a random one. Throws ApiError 400, 404 for another model.
GenerationFields read_generation_fields(const JsonFields& body, const ServedModel& model);

/// Refuses a field that is known and not served, unless it asks for nothing. Throws ApiError 400.
void refuse_unless_empty(const JsonFields& body, const char* name);

}  // namespace mm
