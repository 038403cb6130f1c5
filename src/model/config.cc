#include "model/config.h"

#include <cmath>

#include "base/error.h"

namespace mm {
namespace {

struct Range {
  const char* key;
  int64_t value;
  int64_t most;
};

void check_ranges(const ModelConfig& c, std::string_view source) {
  const Range ranges[] = {
      {"vocab_size", c.vocab_size, kMaxVocabulary},
      {"hidden_size", c.hidden_size, kMaxHidden},
      {"intermediate_size", c.expert_size, kMaxExpertSize},
      {"num_attention_heads", c.num_heads, kMaxHeads},
      {"num_key_value_heads", c.num_kv_heads, kMaxHeads},
      {"head_dim", c.head_size, kMaxHeadSize},
      {"num_local_experts", c.num_experts, kMaxExperts},
      {"num_experts_per_tok", c.experts_per_token, kMaxExperts},
      {"num_hidden_layers", c.num_layers(), kMaxLayers},
  };
  for (const Range& range : ranges) {
    if (range.value < 1 || range.value > range.most)
      bad_input("{}: {} {}, expected 1 to {}", source, range.key, range.value, range.most);
  }
}

void check_number(const char* key, double value, bool positive, std::string_view source) {
  if (!std::isfinite(value) || std::abs(value) > 1e30 || (positive && value <= 0))
    bad_input("{}: {} {}, expected a {}number", source, key, value, positive ? "positive " : "");
}

void check_numbers(const ModelConfig& c, std::string_view source) {
  check_number("rope_theta", c.rope_theta, true, source);
  check_number("rms_norm_eps", c.rms_norm_eps, true, source);
  check_number("lightning norm eps", c.lightning_norm_eps, true, source);
  const std::pair<const char*, ResidualScale> scales[] = {
      {"layernorm_linear_attention", c.lightning_residual},
      {"layernorm_full_attention", c.softmax_residual},
      {"layernorm_mlp", c.mlp_residual}};
  for (const auto& [key, scale] : scales) {
    check_number((std::string(key) + "_alpha").c_str(), scale.alpha, false, source);
    check_number((std::string(key) + "_beta").c_str(), scale.beta, false, source);
  }
}

}  // namespace

void validate(const ModelConfig& c, std::string_view source) {
  check_ranges(c, source);
  check_numbers(c, source);
  if (c.num_heads % c.num_kv_heads != 0)
    bad_input("{}: num_attention_heads {} is not divisible by num_key_value_heads {}", source,
              c.num_heads, c.num_kv_heads);
  if (c.experts_per_token > c.num_experts)
    bad_input("{}: num_experts_per_tok {} is more than num_local_experts {}", source,
              c.experts_per_token, c.num_experts);
  if (c.rotary_dim < 2 || c.rotary_dim > c.head_size || c.rotary_dim % 2 != 0)
    bad_input("{}: rotary_dim {}, expected an even number of channels from 2 to head_dim {}",
              source, c.rotary_dim, c.head_size);
  for (const int32_t id : c.eos_ids) {
    if (id < 0 || id >= c.vocab_size)
      bad_input("{}: eos_token_id {}, expected 0 to {} (vocab_size - 1)", source, id,
                c.vocab_size - 1);
  }
  if (c.bos_id < -1 || c.bos_id >= c.vocab_size)
    bad_input("{}: bos_token_id {}, expected 0 to {} (vocab_size - 1)", source, c.bos_id,
              c.vocab_size - 1);
}

}  // namespace mm
