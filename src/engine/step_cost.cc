#include "engine/step_cost.h"

#include <cmath>
#include <string_view>

#include "ops/backend.h"

namespace mm {

namespace {

int64_t class_bytes(const ModelSummary& summary, std::string_view name) {
  for (const WeightSummary& weights : summary.classes) {
    if (weights.name == name) {
      return weights.bytes;
    }
  }
  return 0;
}

int64_t count(const ModelConfig& config, AttentionKind kind) {
  int64_t layers = 0;
  for (const AttentionKind layer : config.layers) {
    layers += layer == kind ? 1 : 0;
  }
  return layers;
}

/// Parameters that a token is multiplied with: looking up its embedding row multiplies nothing.
int64_t multiplied_parameters(const ModelConfig& config, const ModelSummary& summary) {
  return summary.active_parameters - (config.tied_embeddings ? 0 : config.hidden_size);
}

/// Attention of one token at `position`: the state, the rows of its block, the keys of its past.
int64_t attention_flops(const ModelConfig& config, int64_t position) {
  const int64_t width = config.attention_size();
  const int64_t block_rows = position % kBlockTokens + 1;
  const int64_t lightning = 2 * width * config.head_size + 4 * width * block_rows;
  const int64_t softmax = 4 * width * (position + 1);
  return count(config, AttentionKind::kLightning) * lightning +
         count(config, AttentionKind::kSoftmax) * softmax;
}

}  // namespace

StepCost decode_cost(const ModelConfig& config, const ModelSummary& summary, int64_t position,
                     const CacheTypes& types) {
  const int64_t block_rows = position % kBlockTokens + 1;
  StepCost cost;
  cost.weight_bytes = summary.bytes_per_token;
  cost.state_bytes = summary.cache.state * size_of(DType::kF32);
  cost.tail_bytes = summary.cache.tail / kBlockTokens * block_rows * size_of(types.tail);
  cost.kv_bytes = kv_bytes_per_token(summary.cache, types.kv) * (position + 1);
  cost.linear_flops = 2 * multiplied_parameters(config, summary);
  cost.attention_flops = attention_flops(config, position);
  return cost;
}

StepCost prefill_cost(const ModelConfig& config, const ModelSummary& summary, int64_t tokens,
                      int64_t chunk) {
  const int64_t steps = (tokens + chunk - 1) / chunk;
  const int64_t table = class_bytes(summary, "embedding");
  const int64_t head = config.tied_embeddings ? table : class_bytes(summary, "head");
  const int64_t body = summary.bytes - table - (config.tied_embeddings ? 0 : head);
  const int64_t head_parameters = config.vocab_size * config.hidden_size;
  StepCost cost;
  cost.weight_bytes = steps * body + head + tokens * (table / config.vocab_size);
  cost.linear_flops =
      2 * head_parameters + 2 * tokens * (multiplied_parameters(config, summary) - head_parameters);
  const int64_t state_update =
      2 * config.attention_size() * config.head_size * count(config, AttentionKind::kLightning);
  for (int64_t position = 0; position < tokens; ++position) {
    cost.attention_flops += attention_flops(config, position) + state_update;
  }
  return cost;
}

StepCost& StepCost::operator+=(const StepCost& other) {
  weight_bytes += other.weight_bytes;
  state_bytes += other.state_bytes;
  tail_bytes += other.tail_bytes;
  kv_bytes += other.kv_bytes;
  linear_flops += other.linear_flops;
  attention_flops += other.attention_flops;
  return *this;
}

StepCosts::StepCosts(const ModelConfig& config, const ModelSummary& summary,
                     const CacheTypes& types) {
  const int64_t table = class_bytes(summary, "embedding");
  head_bytes_ = config.tied_embeddings ? table : class_bytes(summary, "head");
  expert_bytes_ = class_bytes(summary, "experts");
  body_bytes_ = summary.bytes - table - (config.tied_embeddings ? 0 : head_bytes_) - expert_bytes_;
  // A tied table is read whole for the logits in any case.
  embedding_row_bytes_ = config.tied_embeddings ? 0 : table / config.vocab_size;
  state_bytes_ = summary.cache.state * size_of(DType::kF32);
  tail_row_bytes_ = summary.cache.tail / kBlockTokens * size_of(types.tail);
  kv_row_bytes_ = kv_bytes_per_token(summary.cache, types.kv);
  head_flops_ = 2 * config.vocab_size * config.hidden_size;
  body_flops_ = 2 * multiplied_parameters(config, summary) - head_flops_;
  const int64_t lightning = count(config, AttentionKind::kLightning);
  state_flops_ = 2 * config.attention_size() * config.head_size * lightning;
  block_row_flops_ = 4 * config.attention_size() * lightning;
  key_flops_ = 4 * config.attention_size() * count(config, AttentionKind::kSoftmax);
  expert_share_ = config.num_experts > 0 ? static_cast<double>(config.experts_per_token) /
                                               static_cast<double>(config.num_experts)
                                         : 1;
}

StepCost StepCosts::weights(int64_t rows, int64_t logit_rows) const {
  const double missed = std::pow(1 - expert_share_, static_cast<double>(rows));
  StepCost cost;
  cost.weight_bytes = body_bytes_ + rows * embedding_row_bytes_ +
                      std::llround(static_cast<double>(expert_bytes_) * (1 - missed)) +
                      (logit_rows > 0 ? head_bytes_ : 0);
  cost.linear_flops = rows * body_flops_ + logit_rows * head_flops_;
  return cost;
}

StepCost StepCosts::attention(int64_t start, int64_t rows) const {
  const int64_t end = start + rows;
  const auto in_block = [](int64_t position) { return position % kBlockTokens; };
  // Each row meets those of its block up to itself: 1 + 2 + …, whole blocks and what is left.
  const auto pairs_until = [&](int64_t position) {
    const int64_t rest = in_block(position);
    return position / kBlockTokens * (kBlockTokens * (kBlockTokens + 1) / 2) +
           rest * (rest + 1) / 2;
  };
  const int64_t block_pairs = pairs_until(end) - pairs_until(start);
  const int64_t key_pairs = end * (end + 1) / 2 - start * (start + 1) / 2;
  const int64_t updated = (end / kBlockTokens - start / kBlockTokens) * kBlockTokens;
  StepCost cost;
  cost.state_bytes = state_bytes_;
  cost.tail_bytes = tail_row_bytes_ * (in_block(start) + rows);
  cost.kv_bytes = kv_row_bytes_ * end;
  cost.attention_flops =
      state_flops_ * (rows + updated) + block_row_flops_ * block_pairs + key_flops_ * key_pairs;
  return cost;
}

}  // namespace mm
