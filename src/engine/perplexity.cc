#include "engine/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace mm {

double Perplexity::value() const {
  return std::exp(nats_per_token);
}

double negative_log_likelihood(std::span<const float> logits, int32_t id) {
  const double max = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp(double{logit} - max);
  }
  return max + std::log(sum) - double{logits[static_cast<size_t>(id)]};
}

Perplexity measure_perplexity(Runner& runner, std::span<const int32_t> ids, int64_t chunk,
                              const Runner::Progress& progress) {
  if (ids.size() < 2) {
    bad_input("perplexity: the text has {} tokens, expected at least 2", ids.size());
  }
  if (ids.back() < 0 || ids.back() >= runner.model().config.vocab_size) {
    bad_input("perplexity: token {} at position {} is outside the vocabulary of {}", ids.back(),
              ids.size() - 1, runner.model().config.vocab_size);
  }
  const auto start = std::chrono::steady_clock::now();
  runner.reset();
  const int64_t inputs = static_cast<int64_t>(ids.size()) - 1;  // the last predicts nothing
  std::vector<double> losses(static_cast<size_t>(inputs));
  int64_t done = 0;
  bool go_on = true;
  while (done < inputs && go_on) {
    const int64_t count = std::min(chunk, inputs - done);
    const TensorView logits =
        runner.step(ids.subspan(static_cast<size_t>(done), static_cast<size_t>(count)), count);
    const size_t vocab = static_cast<size_t>(logits.dim(1));
    runner.pool().parallel_for(count, 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        const size_t at = static_cast<size_t>(done + i);
        losses[at] = negative_log_likelihood({logits.at(i).ptr<float>(), vocab}, ids[at + 1]);
      }
    });
    done += count;
    go_on = !progress || progress(done, inputs);
  }
  Perplexity result;
  result.tokens = done;
  for (int64_t i = 0; i < done; ++i) {
    result.nats_per_token += losses[static_cast<size_t>(i)] / static_cast<double>(done);
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace mm
