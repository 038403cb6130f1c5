/// What a checkpoint's config.json says, in one form for every dialect.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mm {

/// Largest sizes this engine accepts: far above any real model, and small enough that no product
/// of sizes passes 2^57.
constexpr int64_t kMaxVocabulary = int64_t{1} << 24;
constexpr int64_t kMaxHidden = int64_t{1} << 20;
constexpr int64_t kMaxExpertSize = int64_t{1} << 22;
constexpr int64_t kMaxHeads = 1 << 14;
constexpr int64_t kMaxHeadSize = 1 << 14;
constexpr int64_t kMaxExperts = 1 << 12;
constexpr int64_t kMaxLayers = 1 << 12;

enum class AttentionKind : uint8_t { kLightning, kSoftmax };

/// alpha · residual + beta · branch.
struct ResidualScale {
  double alpha = 1;
  double beta = 1;
};

/// The architecture: plain data, no derived state.
struct ModelConfig {
  std::string model_type;   ///< as the file says, e.g. "minimax_text_01"
  int64_t vocab_size = 0;   ///< V, rows of the embedding, padding rows included
  int64_t hidden_size = 0;  ///< D
  int64_t expert_size = 0;  ///< F: intermediate_size of one expert
  int num_heads = 0;        ///< H, both kinds of attention
  int num_kv_heads = 0;     ///< G, softmax layers only
  int head_size = 0;        ///< K; not D / H
  int rotary_dim = 0;       ///< R, leading channels that rotate
  double rope_theta = 10000;
  int num_experts = 0;        ///< E
  int experts_per_token = 0;  ///< A
  double rms_norm_eps = 1e-5;
  double lightning_norm_eps = 1e-6;   ///< the reference uses its class default here
  bool post_norm = true;              ///< residual is the normalised input of each branch
  bool tied_embeddings = false;       ///< the head is the embedding
  int64_t max_positions = 0;          ///< metadata only: never a limit
  std::vector<AttentionKind> layers;  ///< one per layer
  ResidualScale lightning_residual;
  ResidualScale softmax_residual;
  ResidualScale mlp_residual;
  std::vector<int32_t> eos_ids;  ///< from config.json; generation_config.json may add more
  int32_t bos_id = -1;           ///< -1: none

  int num_layers() const { return static_cast<int>(layers.size()); }
  int64_t attention_size() const { return int64_t{num_heads} * head_size; }  ///< H·K
  int64_t kv_size() const { return int64_t{num_kv_heads} * head_size; }      ///< G·K
};

/// How weights are coded, from `quantization_config`; per-tensor truth is the tensors themselves.
struct QuantizationConfig {
  std::string method;  ///< empty: not quantised
  int bits = 0;
  int group_size = 0;  ///< 0: one scale per output channel
};

/// A config.json as read.
struct ConfigFile {
  ModelConfig model;
  QuantizationConfig quantization;
  std::vector<std::string> unknown_keys;  ///< present, not understood, tolerated
};

/// Reads config.json text in the original or the transformers dialect. `source` names it in
/// errors. Throws kBadInput for missing, mistyped or contradictory keys, kUnsupported for a feature
/// this engine lacks.
ConfigFile read_config(std::string_view text, std::string_view source);

/// States every assumption of the engine about a config (divisibility, ranges, list lengths).
/// Throws kBadInput naming the key and values.
void validate(const ModelConfig& config, std::string_view source);

}  // namespace mm
