#include "engine/step_cost.h"

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

}  // namespace mm
