#include "serve/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace mm {

TokenLogprobs find_logprobs(std::span<const float> logits, int32_t id, int top) {
  const float most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp(static_cast<double>(logit) - most);
  }
  const double normalizer = most + std::log(sum);
  const auto logprob = [&](int32_t i) {
    return static_cast<float>(logits[static_cast<size_t>(i)] - normalizer);
  };
  TokenLogprobs result{.id = id, .logprob = logprob(id)};
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const size_t count = std::min(static_cast<size_t>(std::max(top, 0)), ids.size());
  const auto end = ids.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(ids.begin(), end, ids.end(), [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)];
    const float y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  for (auto i = ids.begin(); i != end; ++i) {
    result.top.emplace_back(*i, logprob(*i));
  }
  return result;
}

}  // namespace mm
