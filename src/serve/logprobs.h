/// Log-probabilities of drawn tokens, of the model's own distribution: before biases, penalties and
/// temperature.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace mm {

struct TokenLogprobs {
  int32_t id = 0;
  float logprob = 0;
  std::vector<std::pair<int32_t, float>> top = {};  ///< best first; equal ones by id
};

/// Of logits f32 [V]; `id` < V, `top` alternatives (at most V). O(V log top).
TokenLogprobs find_logprobs(std::span<const float> logits, int32_t id, int top);

}  // namespace mm
