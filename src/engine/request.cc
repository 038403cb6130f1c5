#include "engine/request.h"

#include <cmath>
#include <limits>

#include "base/error.h"

namespace mm {

namespace {

void require_finite(float value, const char* name) {
  if (!std::isfinite(value)) {
    bad_input("sampling: {} is {}, expected a finite number", name, value);
  }
}

void validate_biases(const SamplingParams& params, int64_t vocab_size) {
  for (const auto& [id, bias] : params.logit_bias) {
    if (id < 0 || id >= vocab_size) {
      bad_input("sampling: logit_bias names token id {}, expected one in [0, {})", id, vocab_size);
    }
    if (std::isnan(bias) || bias == std::numeric_limits<float>::infinity()) {
      bad_input("sampling: logit_bias of token id {} is {}, expected a finite number or -inf", id,
                bias);
    }
  }
}

}  // namespace

void validate(const SamplingParams& params, int64_t vocab_size) {
  validate_biases(params, vocab_size);
  require_finite(params.repetition_penalty, "repetition_penalty");
  require_finite(params.presence_penalty, "presence_penalty");
  require_finite(params.frequency_penalty, "frequency_penalty");
  require_finite(params.temperature, "temperature");
  if (params.repetition_penalty <= 0) {
    bad_input("sampling: repetition_penalty is {}, expected more than 0 (1 is off)",
              params.repetition_penalty);
  }
  if (params.penalty_window < -1) {
    bad_input("sampling: penalty_window is {}, expected a count of tokens or -1 for all",
              params.penalty_window);
  }
  if (params.temperature < 0) {
    bad_input("sampling: temperature is {}, expected 0 (greedy) or more", params.temperature);
  }
  if (params.top_k < 0) {
    bad_input("sampling: top_k is {}, expected 0 (off) or more", params.top_k);
  }
  if (!(params.top_p > 0 && params.top_p <= 1)) {
    bad_input("sampling: top_p is {}, expected a number in (0, 1]", params.top_p);
  }
  if (!(params.min_p >= 0 && params.min_p <= 1)) {
    bad_input("sampling: min_p is {}, expected a number in [0, 1]", params.min_p);
  }
}

const char* to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kContextFull:
      return "context_full";
    case FinishReason::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

}  // namespace mm
