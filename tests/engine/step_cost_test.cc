#include "engine/step_cost.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "model/weights.h"

namespace mm {
namespace {

/// 2 lightning layers and 1 softmax layer, small enough to count by hand.
ModelConfig small_config() {
  ModelConfig config;
  config.model_type = "minimax_text_01";
  config.vocab_size = 100;
  config.hidden_size = 32;
  config.expert_size = 64;
  config.num_heads = 4;
  config.num_kv_heads = 2;
  config.head_size = 16;
  config.rotary_dim = 8;
  config.num_experts = 4;
  config.experts_per_token = 2;
  config.layers = {AttentionKind::kLightning, AttentionKind::kLightning, AttentionKind::kSoftmax};
  return config;
}

// H·K = 64, G·K = 32, D = 32, F = 64.
constexpr int64_t kLightning = 3 * 64 * 32 + 64 * 32 + 32 * 64;  // qkv, gate, out
constexpr int64_t kSoftmax = 64 * 32 + 2 * 32 * 32 + 32 * 64;    // q, k, v, o
constexpr int64_t kExpert = 3 * 64 * 32;                         // w1, w2, w3
constexpr int64_t kRouters = 3 * 4 * 32;                         // f32, as the norms
constexpr int64_t kF32 = kRouters + 2 * 32 * 3 + 2 * 64 + 32;  // norms of layers, lightning, final
constexpr int64_t kHead = 100 * 32;
constexpr int64_t kBody = 2 * kLightning + kSoftmax;  // bf16, but for experts

TEST(StepCost, DecodeReadsActiveExpertsOneRowAndTheHead) {
  const ModelConfig config = small_config();
  const ModelSummary summary = summarize(make_random_model(config, {}));
  const StepCost cost = decode_cost(config, summary, 0, {});
  const int64_t matrices = kBody + 3 * 2 * kExpert + kHead + 32;
  EXPECT_EQ(cost.weight_bytes, 2 * matrices + 4 * kF32);
  EXPECT_EQ(cost.state_bytes, 4 * 2 * 64 * 16);
  EXPECT_EQ(cost.tail_bytes, 2 * 2 * 2 * 64);  // 2 layers, k and v, bf16, one row
  EXPECT_EQ(cost.kv_bytes, 2 * 2 * 32);
  const StepCost codes = decode_cost(config, summary, 9, {DType::kBf16, DType::kI8});
  EXPECT_EQ(codes.kv_bytes, 10 * 2 * (32 + 2 * 4));  // 2 heads, each with a scale
  EXPECT_EQ(cost.bytes(), cost.weight_bytes + cost.state_bytes + cost.tail_bytes + cost.kv_bytes);
  EXPECT_EQ(cost.linear_flops, 2 * (matrices - 32 + kF32));
}

TEST(StepCost, TailsGrowWithinABlockAndKeysForever) {
  const ModelConfig config = small_config();
  const ModelSummary summary = summarize(make_random_model(config, {}));
  const CacheTypes f32{DType::kF32, DType::kF32};
  const StepCost first = decode_cost(config, summary, 0, f32);
  const StepCost last = decode_cost(config, summary, 63, f32);
  const StepCost next = decode_cost(config, summary, 64, f32);
  EXPECT_EQ(last.tail_bytes, 64 * first.tail_bytes);
  EXPECT_EQ(next.tail_bytes, first.tail_bytes);
  EXPECT_EQ(next.kv_bytes, 65 * first.kv_bytes);
  EXPECT_EQ(first.kv_bytes, 2 * decode_cost(config, summary, 0, {}).kv_bytes);
  // 2 · (2·64·16 + 4·64·rows) + 4·64·(position + 1)
  EXPECT_EQ(last.attention_flops, 2 * (2 * 64 * 16 + 4 * 64 * 64) + 4 * 64 * 64);
}

TEST(StepCost, PrefillReadsEveryWeightOnceAStep) {
  const ModelConfig config = small_config();
  const ModelSummary summary = summarize(make_random_model(config, {}));
  const int64_t body = 2 * (kBody + 3 * 4 * kExpert) + 4 * kF32;
  const StepCost one = prefill_cost(config, summary, 100, 100);
  EXPECT_EQ(one.weight_bytes, body + 2 * kHead + 100 * 2 * 32);
  EXPECT_EQ(prefill_cost(config, summary, 100, 50).weight_bytes, one.weight_bytes + body);
  EXPECT_EQ(prefill_cost(config, summary, 100, 33).weight_bytes, one.weight_bytes + 3 * body);
  EXPECT_EQ(one.linear_flops, 2 * kHead + 100 * 2 * (kBody + 3 * 2 * kExpert + kF32));
}

TEST(StepCost, ATiedHeadIsReadOnce) {
  ModelConfig config = small_config();
  config.tied_embeddings = true;
  const ModelSummary summary = summarize(make_random_model(config, {}));
  EXPECT_EQ(decode_cost(config, summary, 0, {}).weight_bytes,
            2 * (kBody + 3 * 2 * kExpert + kHead) + 4 * kF32);
  const StepCost prefill = prefill_cost(config, summary, 10, 10);
  EXPECT_EQ(prefill.weight_bytes,
            2 * (kBody + 3 * 4 * kExpert) + 4 * kF32 + 2 * kHead + 10 * 2 * 32);
}

TEST(StepCosts, OneRowIsADecodedToken) {
  const ModelConfig config = small_config();
  const ModelSummary summary = summarize(make_random_model(config, {}));
  const CacheTypes types{DType::kBf16, DType::kI8};
  const StepCosts costs(config, summary, types);
  for (const int64_t position : {0, 1, 62, 64, 1000}) {  // none ends a block and moves the state on
    const StepCost expected = decode_cost(config, summary, position, types);
    StepCost cost = costs.weights(1, 1);
    cost += costs.attention(position, 1);
    EXPECT_EQ(cost.weight_bytes, expected.weight_bytes);
    EXPECT_EQ(cost.state_bytes, expected.state_bytes);
    EXPECT_EQ(cost.tail_bytes, expected.tail_bytes);
    EXPECT_EQ(cost.kv_bytes, expected.kv_bytes);
    EXPECT_EQ(cost.linear_flops, expected.linear_flops);
    EXPECT_EQ(cost.attention_flops, expected.attention_flops);
  }
}

TEST(StepCosts, ChunksMultiplyAsMuchAsOnePrefill) {
  const ModelConfig config = small_config();
  const ModelSummary summary = summarize(make_random_model(config, {}));
  const StepCosts costs(config, summary, {});
  const StepCost whole = prefill_cost(config, summary, 256, 256);
  StepCost chunks = costs.weights(256, 1);
  for (const auto& [start, rows] :
       std::vector<std::pair<int64_t, int64_t>>{{0, 100}, {100, 1}, {101, 27}, {128, 128}}) {
    chunks += costs.attention(start, rows);
  }
  EXPECT_EQ(chunks.linear_flops, whole.linear_flops);
  EXPECT_EQ(chunks.attention_flops, whole.attention_flops);
  EXPECT_EQ(chunks.kv_bytes, 2 * 2 * 32 * (100 + 101 + 128 + 256));
  EXPECT_EQ(chunks.state_bytes, 4 * (4 * 2 * 64 * 16));
  // 256 rows reach all 4 experts of which each takes 2: what is missed is 2^-256 of them.
  EXPECT_EQ(chunks.weight_bytes, whole.weight_bytes);
}

TEST(StepCosts, ExpertsAreReachedAsEvenRoutingReachesThem) {
  const ModelConfig config = small_config();
  const ModelSummary summary = summarize(make_random_model(config, {}));
  const StepCosts costs(config, summary, {});
  const int64_t experts = 2 * 3 * 4 * kExpert;
  const int64_t one = costs.weights(1, 0).weight_bytes;
  const int64_t row = 2 * 32;                                            // of the embedding
  EXPECT_EQ(costs.weights(2, 0).weight_bytes - one, experts / 4 + row);  // 3/4 of them, not 1/2
  EXPECT_EQ(costs.weights(1, 1).weight_bytes - one, 2 * kHead);
  EXPECT_EQ(costs.weights(9, 4).linear_flops - costs.weights(9, 0).linear_flops, 4 * 2 * kHead);
}

}  // namespace
}  // namespace mm
