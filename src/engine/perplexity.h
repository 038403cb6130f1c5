/// How well a model predicts a text.
#pragma once

#include <cstdint>
#include <span>

#include "engine/runner.h"

namespace mm {

/// Negative log-likelihood of a text.
struct Perplexity {
  int64_t tokens = 0;         ///< predicted: all but the first, which has no context
  double nats_per_token = 0;  ///< mean of -ln p(token | all tokens before it)
  double seconds = 0;

  double value() const;  ///< exp(nats_per_token)
};

/// Scores ids as one sequence from its beginning, without windows: every token sees all before it,
/// which the architecture allows at any length. The runner is reset first and holds the text
/// afterwards. Takes `chunk` tokens a step, at most the runner's prefill_chunk and max_logit_rows;
/// log-softmax in double; the result does not depend on threads or chunks. Progress returning
/// false ends the measurement early.
/// Throws kBadInput for fewer than two ids and what Runner::step throws.
Perplexity measure_perplexity(Runner& runner, std::span<const int32_t> ids, int64_t chunk,
                              const Runner::Progress& progress = {});

/// -ln softmax(logits)[id], in double.
double negative_log_likelihood(std::span<const float> logits, int32_t id);

}  // namespace mm
