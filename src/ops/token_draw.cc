// Nothing of size V is sorted.
//   top_k: the row is cut into blocks of 64; the k-th largest block maximum is a lower bound of the
//          k-th largest logit, so that few ids remain to be ranked.
//   top_p: a histogram of weight over the logits finds the bin in which the share is reached; only
//          the ids of that bin are ranked.
#include "ops/token_draw.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace mm {

namespace {

constexpr int64_t kBlock = 64;
constexpr size_t kBins = kDrawBins;
constexpr float kNegativeInfinity = -std::numeric_limits<float>::infinity();

/// Down to a multiple of 2^-32, as weights are: what is left of it after a subtraction of weights
/// is exact.
double in_units(double weight) {
  return std::floor(weight * 0x1p32) * 0x1p-32;
}

float largest_of_block(const float* block) {
  std::array<float, 8> lanes;
  std::copy_n(block, 8, lanes.begin());
  for (int64_t i = 8; i < kBlock; i += 8) {
    for (size_t lane = 0; lane < 8; ++lane) {
      const float x = block[i + static_cast<int64_t>(lane)];
      lanes[lane] = x > lanes[lane] ? x : lanes[lane];
    }
  }
  return *std::max_element(lanes.begin(), lanes.end());
}

}  // namespace

/// Best first: larger logit, then lower id.
struct HostTokenDrawer::BetterThan {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  }
};

float inverse_temperature(const TokenDraw& draw) {
  return std::min(1.0f / draw.temperature, std::numeric_limits<float>::max());
}

HostTokenDrawer::HostTokenDrawer(int64_t vocab_size) : vocab_size_(vocab_size) {}

void HostTokenDrawer::load(std::span<const float> logits) {
  MM_CHECK(static_cast<int64_t>(logits.size()) == vocab_size_, "{} logits, vocabulary of {}",
           logits.size(), vocab_size_);
  if (logits_.empty()) {
    const auto blocks = static_cast<size_t>((vocab_size_ + kBlock - 1) / kBlock);
    logits_.assign(blocks * kBlock, kNegativeInfinity);
    block_max_.resize(blocks);
    block_order_.resize(blocks);
    block_sum_.resize(blocks);
  }
  const float* in = logits.data();
  float* out = logits_.data();
  for (int64_t i = 0; i < vocab_size_; ++i) {
    out[i] = finite_logit(in[i]);
  }
}

/// Of each word the rarer bits are walked over: masks are mostly empty or mostly full.
void HostTokenDrawer::keep(std::span<const uint64_t> allowed) {
  MM_CHECK(allowed.size() == block_max_.size(), "{} words for {} blocks", allowed.size(),
           block_max_.size());
  for (size_t b = 0; b < allowed.size(); ++b) {
    float* const block = logits_.data() + b * kBlock;
    const uint64_t bits = allowed[b];
    if (std::popcount(bits) > kBlock / 2) {
      for (uint64_t cleared = ~bits; cleared != 0; cleared &= cleared - 1) {
        block[std::countr_zero(cleared)] = kNegativeInfinity;
      }
      continue;
    }
    std::array<float, kBlock> kept;
    std::copy_n(block, kBlock, kept.begin());
    std::fill_n(block, kBlock, kNegativeInfinity);
    for (uint64_t set = bits; set != 0; set &= set - 1) {
      const auto i = static_cast<size_t>(std::countr_zero(set));
      block[i] = kept[i];
    }
  }
}

void HostTokenDrawer::apply_changes(const TokenDraw& draw) {
  const auto at = [&](int32_t id) -> float& { return logits_[static_cast<size_t>(id)]; };
  for (const auto& [id, bias] : draw.biases) {
    at(id) = biased_logit(at(id), bias);
  }
  for (const int32_t id : draw.repeated) {
    at(id) = repeated_logit(at(id), draw.repetition_penalty);
  }
  for (const auto& [id, times] : draw.drawn) {
    at(id) = drawn_logit(at(id), times, draw.presence_penalty, draw.frequency_penalty);
  }
  for (const int32_t id : draw.banned) {
    at(id) = kNegativeInfinity;
  }
}

void HostTokenDrawer::find_block_maxima() {
  max_ = kNegativeInfinity;
  for (size_t b = 0; b < block_max_.size(); ++b) {
    block_max_[b] = largest_of_block(logits_.data() + b * kBlock);
    max_ = std::max(max_, block_max_[b]);
  }
}

int32_t HostTokenDrawer::argmax() const {
  const auto block = std::find(block_max_.begin(), block_max_.end(), max_) - block_max_.begin();
  const auto first = logits_.begin() + block * kBlock;
  return static_cast<int32_t>(std::find(first, first + kBlock, max_) - logits_.begin());
}

float HostTokenDrawer::weight(float logit) const {
  return draw_weight((logit - max_) * inverse_temperature_);
}

void HostTokenDrawer::compute_weights() {
  weights_.resize(logits_.size());
  const float max = max_;  // a member could be what weights_ points to, for all a compiler knows
  const float scale = inverse_temperature_;
  const float* in = logits_.data();
  float* out = weights_.data();
  const size_t count = logits_.size();
  for (size_t i = 0; i < count; ++i) {
    out[i] = draw_weight((in[i] - max) * scale);
  }
}

/// Drops ids lighter than `least` or with a logit under `least_logit`, and sums what is left.
void HostTokenDrawer::sum_blocks(float least, float least_logit) {
  for (size_t b = 0; b < block_sum_.size(); ++b) {
    const float* logits = logits_.data() + b * kBlock;
    float* weights = weights_.data() + b * kBlock;
    std::array<double, 4> lanes{};
    for (size_t i = 0; i < kBlock; i += 4) {
      for (size_t lane = 0; lane < 4; ++lane) {
        const float w = logits[i + lane] >= least_logit ? weights[i + lane] : 0.0f;
        weights[i + lane] = w >= least ? w : 0.0f;
        lanes[lane] += weights[i + lane];
      }
    }
    block_sum_[b] = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  }
}

void HostTokenDrawer::collect(float least_logit) {
  candidates_.clear();
  for (size_t b = 0; b < block_max_.size(); ++b) {
    if (block_max_[b] < least_logit || block_max_[b] == kNegativeInfinity) {
      continue;
    }
    for (size_t i = b * kBlock; i < (b + 1) * kBlock; ++i) {
      if (logits_[i] >= least_logit && logits_[i] != kNegativeInfinity) {
        candidates_.push_back({logits_[i], static_cast<int32_t>(i)});
      }
    }
  }
}

/// The k best, best first.
std::span<HostTokenDrawer::Candidate> HostTokenDrawer::top_k(size_t k) {
  float least = kNegativeInfinity;
  if (k <= block_max_.size()) {
    std::copy(block_max_.begin(), block_max_.end(), block_order_.begin());
    const auto nth = block_order_.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(block_order_.begin(), nth, block_order_.end(), std::greater<>());
    least = *nth;
  }
  collect(least);
  const size_t kept = std::min(k, candidates_.size());
  const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(kept);
  if (kept < candidates_.size()) {
    std::nth_element(candidates_.begin(), end - 1, candidates_.end(), BetterThan());
  }
  std::sort(candidates_.begin(), end, BetterThan());
  return {candidates_.data(), kept};
}

/// Zeroes the weights outside the nucleus of the whole row but for those under the returned logit.
float HostTokenDrawer::cut_nucleus(float top_p) {
  const float scale = draw_bin_scale(inverse_temperature_);
  const auto bin_of = [&](float logit) {
    return static_cast<size_t>(draw_bin(max_ - logit, scale));
  };
  std::array<double, kBins> bins{};
  for (size_t i = 0; i < logits_.size(); ++i) {
    bins[bin_of(logits_[i])] += weights_[i];
  }
  const double share = double{top_p} * std::accumulate(bins.begin(), bins.end(), 0.0);
  size_t crossing = 0;
  double sum = bins[0];
  while (sum < share && crossing + 1 < kBins) {
    sum += bins[++crossing];
  }
  sum -= bins[crossing];
  candidates_.clear();
  for (size_t i = 0; i < logits_.size(); ++i) {
    if (bin_of(logits_[i]) == crossing && weights_[i] > 0) {
      candidates_.push_back({logits_[i], static_cast<int32_t>(i)});
    }
  }
  std::sort(candidates_.begin(), candidates_.end(), BetterThan());
  float least = kNegativeInfinity;
  for (const Candidate& candidate : candidates_) {
    float& weight = weights_[static_cast<size_t>(candidate.id)];
    if (sum < share) {
      sum += weight;
      least = candidate.logit;
    } else {
      weight = 0;
    }
  }
  return least;
}

/// What top_p and min_p leave of the k best.
std::span<HostTokenDrawer::Candidate> HostTokenDrawer::shorten(std::span<Candidate> best,
                                                               const TokenDraw& draw) const {
  double total = 0;
  for (const Candidate& candidate : best) {
    total += weight(candidate.logit);
  }
  const double share = double{draw.top_p} * total;
  size_t kept = 0;
  double sum = 0;
  while (kept < best.size() && (kept == 0 || sum < share) &&
         weight(best[kept].logit) >= draw.min_p) {
    sum += weight(best[kept].logit);
    ++kept;
  }
  return best.first(kept);
}

int32_t HostTokenDrawer::draw_among(std::span<const Candidate> candidates, double uniform) const {
  double total = 0;
  for (const Candidate& candidate : candidates) {
    total += weight(candidate.logit);
  }
  double rest = in_units(uniform * total);
  for (const Candidate& candidate : candidates) {
    rest -= weight(candidate.logit);
    if (rest < 0) {
      return candidate.id;
    }
  }
  return candidates.front().id;  // the product above was rounded up to the whole
}

int32_t HostTokenDrawer::draw_from_all(double uniform) const {
  double total = 0;
  for (const double sum : block_sum_) {
    total += sum;
  }
  double rest = in_units(uniform * total);
  for (size_t b = 0; b < block_sum_.size(); ++b) {
    if (rest >= block_sum_[b]) {
      rest -= block_sum_[b];
      continue;
    }
    for (size_t i = b * kBlock; i < (b + 1) * kBlock; ++i) {
      rest -= weights_[i];
      if (rest < 0) {
        return static_cast<int32_t>(i);
      }
    }
    break;
  }
  return argmax();  // the product above was rounded up to the whole
}

int32_t HostTokenDrawer::draw(std::span<const float> logits, const TokenDraw& draw) {
  load(logits);
  if (!draw.allowed.empty()) {
    keep(draw.allowed);
  }
  apply_changes(draw);
  find_block_maxima();
  if (max_ == kNegativeInfinity) {
    return kNoToken;
  }
  if (draw.temperature == 0) {
    return argmax();
  }
  inverse_temperature_ = inverse_temperature(draw);
  if (draw.top_k > 0 && draw.top_k < vocab_size_) {
    return draw_among(shorten(top_k(static_cast<size_t>(draw.top_k)), draw), draw.uniform);
  }
  compute_weights();
  sum_blocks(draw.min_p, draw.top_p < 1 ? cut_nucleus(draw.top_p) : kNegativeInfinity);
  return draw_from_all(draw.uniform);
}

}  // namespace mm
