#include "engine/sampler.h"

#include <algorithm>

#include "base/check.h"
#include "base/rng.h"

namespace mm {

namespace {

std::vector<std::pair<int32_t, float>> sum_by_id(std::vector<std::pair<int32_t, float>> biases) {
  std::stable_sort(biases.begin(), biases.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::pair<int32_t, float>> sums;
  for (const auto& [id, bias] : biases) {
    if (sums.empty() || sums.back().first != id) {
      sums.emplace_back(id, bias);
    } else {
      sums.back().second += bias;
    }
  }
  return sums;
}

}  // namespace

Sampler::Sampler(const SamplingParams& params, int64_t vocab_size, std::span<const int32_t> banned)
    : params_(params),
      vocab_size_(vocab_size),
      biases_(sum_by_id(params.logit_bias)),
      banned_(banned.begin(), banned.end()) {
  validate(params, vocab_size);
  for (const int32_t id : banned_) {
    if (id < 0 || id >= vocab_size) {
      bad_input("sampling: banned token id {}, expected one in [0, {})", id, vocab_size);
    }
  }
  const size_t vocab = static_cast<size_t>(vocab_size);
  if (params.repetition_penalty != 1) {
    marks_.resize(vocab);
    recent_.reserve(params.penalty_window < 0 ? vocab : static_cast<size_t>(params.penalty_window));
  }
  if (params.presence_penalty != 0 || params.frequency_penalty != 0) {
    drawn_at_.resize(vocab);
  }
}

void Sampler::accept_prompt(std::span<const int32_t> ids) {
  for (const int32_t id : ids) {
    MM_CHECK(id >= 0 && id < vocab_size_, "token id {}", id);
    remember(id);
  }
}

void Sampler::remember(int32_t id) {
  if (params_.repetition_penalty == 1 || params_.penalty_window == 0) {
    return;
  }
  if (params_.penalty_window < 0) {
    uint32_t& mark = marks_[static_cast<size_t>(id)];
    if (mark == 0) {
      mark = 1;
      recent_.push_back(id);
    }
    return;
  }
  if (recent_.size() < static_cast<size_t>(params_.penalty_window)) {
    recent_.push_back(id);
    return;
  }
  recent_[recent_next_] = id;
  recent_next_ = (recent_next_ + 1) % recent_.size();
}

/// Where every id was remembered once, recent_ itself.
std::span<const int32_t> Sampler::distinct_recent() {
  if (params_.penalty_window < 0) {
    return recent_;
  }
  distinct_.clear();
  ++mark_;
  for (const int32_t id : recent_) {
    uint32_t& mark = marks_[static_cast<size_t>(id)];
    if (mark != mark_) {
      mark = mark_;
      distinct_.push_back(id);
    }
  }
  return distinct_;
}

TokenDraw Sampler::next(std::span<const uint64_t> allowed) {
  TokenDraw draw;
  draw.allowed = allowed;
  draw.biases = biases_;
  draw.repeated = distinct_recent();
  draw.repetition_penalty = params_.repetition_penalty;
  draw.drawn = drawn_;
  draw.presence_penalty = params_.presence_penalty;
  draw.frequency_penalty = params_.frequency_penalty;
  draw.banned = banned_;
  draw.temperature = params_.temperature;
  draw.top_k = params_.top_k;
  draw.top_p = params_.top_p;
  draw.min_p = params_.min_p;
  draw.uniform = params_.temperature > 0 ? philox_uniform(params_.seed, 0, draws_) : 0;
  return draw;
}

void Sampler::accept(int32_t id) {
  ++draws_;
  remember(id);
  if (drawn_at_.empty()) {
    return;
  }
  int32_t& at = drawn_at_[static_cast<size_t>(id)];
  if (at == 0) {
    drawn_.emplace_back(id, 0);
    at = static_cast<int32_t>(drawn_.size());
  }
  ++drawn_[static_cast<size_t>(at - 1)].second;
}

}  // namespace mm
