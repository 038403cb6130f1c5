#include "model/weight_table.h"

#include "base/check.h"

namespace mm {
namespace {

using enum WeightClass;
using enum WeightScope;

LightningAttention& lightning(Model& m, int l) {
  return std::get<LightningAttention>(m.layers[static_cast<size_t>(l)].attention);
}
SoftmaxAttention& softmax(Model& m, int l) {
  return std::get<SoftmaxAttention>(m.layers[static_cast<size_t>(l)].attention);
}
Moe& moe(Model& m, int l) {
  return m.layers[static_cast<size_t>(l)].moe;
}
Weight* expert(std::vector<Weight>& weights, int e) {
  return &weights[static_cast<size_t>(e)];
}

constexpr const char* kLightningQkv = "model.layers.{l}.self_attn.qkv_proj.weight";
constexpr const char* kGateUp = "model.layers.{l}.mlp.experts.gate_up_proj";

// clang-format off
const WeightRow kTable[] = {
    {kEmbedding, kModel, "V", "D", true, "model.embed_tokens.weight", nullptr, 0, 0,
     [](Model& m, int, int) { return &m.embedding; }, nullptr},
    {kNorm, kLayer, "D", nullptr, false, "model.layers.{l}.input_layernorm.weight", nullptr, 0, 0,
     nullptr, [](Model& m, int l) { return &m.layers[static_cast<size_t>(l)].input_norm; }},
    {kAttention, kLightningLayer, "3HK", "D", true, kLightningQkv, nullptr, 0, 0,
     [](Model& m, int l, int) { return &lightning(m, l).qkv; }, nullptr},
    {kAttention, kLightningLayer, "HK", "D", true, "model.layers.{l}.self_attn.output_gate.weight", nullptr, 0, 0,
     [](Model& m, int l, int) { return &lightning(m, l).gate; }, nullptr},
    {kNorm, kLightningLayer, "HK", nullptr, false, "model.layers.{l}.self_attn.norm.weight", nullptr, 0, 0,
     nullptr, [](Model& m, int l) { return &lightning(m, l).norm; }},
    {kAttention, kLightningLayer, "D", "HK", true, "model.layers.{l}.self_attn.out_proj.weight", nullptr, 0, 0,
     [](Model& m, int l, int) { return &lightning(m, l).out; }, nullptr},
    {kAttention, kSoftmaxLayer, "HK", "D", true, "model.layers.{l}.self_attn.q_proj.weight", nullptr, 0, 0,
     [](Model& m, int l, int) { return &softmax(m, l).q; }, nullptr},
    {kAttention, kSoftmaxLayer, "GK", "D", true, "model.layers.{l}.self_attn.k_proj.weight", nullptr, 0, 0,
     [](Model& m, int l, int) { return &softmax(m, l).k; }, nullptr},
    {kAttention, kSoftmaxLayer, "GK", "D", true, "model.layers.{l}.self_attn.v_proj.weight", nullptr, 0, 0,
     [](Model& m, int l, int) { return &softmax(m, l).v; }, nullptr},
    {kAttention, kSoftmaxLayer, "D", "HK", true, "model.layers.{l}.self_attn.o_proj.weight", nullptr, 0, 0,
     [](Model& m, int l, int) { return &softmax(m, l).o; }, nullptr},
    {kNorm, kLayer, "D", nullptr, false, "model.layers.{l}.post_attention_layernorm.weight", nullptr, 0, 0,
     nullptr, [](Model& m, int l) { return &m.layers[static_cast<size_t>(l)].post_norm; }},
    // Near ties between experts decide whole rows, so the router keeps the precision it has.
    {kRouter, kLayer, "E", "D", false, "model.layers.{l}.block_sparse_moe.gate.weight", "model.layers.{l}.mlp.gate.weight", 0, 0,
     [](Model& m, int l, int) { return &moe(m, l).router; }, nullptr},
    {kExperts, kExpert, "F", "D", true, "model.layers.{l}.block_sparse_moe.experts.{e}.w1.weight", kGateUp, 0, 2,
     [](Model& m, int l, int e) { return expert(moe(m, l).w1, e); }, nullptr},
    {kExperts, kExpert, "F", "D", true, "model.layers.{l}.block_sparse_moe.experts.{e}.w3.weight", kGateUp, 1, 2,
     [](Model& m, int l, int e) { return expert(moe(m, l).w3, e); }, nullptr},
    {kExperts, kExpert, "D", "F", true, "model.layers.{l}.block_sparse_moe.experts.{e}.w2.weight", "model.layers.{l}.mlp.experts.down_proj", 0, 1,
     [](Model& m, int l, int e) { return expert(moe(m, l).w2, e); }, nullptr},
    {kNorm, kModel, "D", nullptr, false, "model.norm.weight", nullptr, 0, 0,
     nullptr, [](Model& m, int) { return &m.final_norm; }},
    {kHead, kModel, "V", "D", true, "lm_head.weight", nullptr, 0, 0,
     [](Model& m, int, int) { return &m.head; }, nullptr},
};
// clang-format on

constexpr std::string_view kIgnoredSuffixes[] = {".slope_rate", ".query_decay", ".key_decay",
                                                 ".diagonal_decay", ".rotary_emb.inv_freq"};

int64_t value_of(char letter, const ModelConfig& c) {
  switch (letter) {
    case 'V':
      return c.vocab_size;
    case 'D':
      return c.hidden_size;
    case 'H':
      return c.num_heads;
    case 'G':
      return c.num_kv_heads;
    case 'K':
      return c.head_size;
    case 'E':
      return c.num_experts;
    case 'F':
      return c.expert_size;
    default:
      MM_CHECK('0' <= letter && letter <= '9', "letter {}", letter);
      return letter - '0';
  }
}

// "3HK" is a product.
int64_t evaluate(const char* letters, const ModelConfig& config) {
  int64_t product = 1;
  for (; letters != nullptr && *letters != 0; ++letters) product *= value_of(*letters, config);
  return product;
}

WeightSlot make_slot(const WeightRow& row, int layer, int expert, const ModelConfig& config) {
  return {&row, layer, expert, evaluate(row.rows, config), evaluate(row.cols, config)};
}

bool applies(WeightScope scope, AttentionKind kind) {
  return scope == kLayer || scope == kExpert ||
         (scope == kLightningLayer && kind == AttentionKind::kLightning) ||
         (scope == kSoftmaxLayer && kind == AttentionKind::kSoftmax);
}

void add_layer(const ModelConfig& config, int layer, std::vector<WeightSlot>* slots) {
  const AttentionKind kind = config.layers[static_cast<size_t>(layer)];
  for (const WeightRow& row : kTable) {
    if (!applies(row.scope, kind))
      continue;
    const int copies = row.scope == kExpert ? config.num_experts : 1;
    for (int e = 0; e < copies; ++e) slots->push_back(make_slot(row, layer, e, config));
  }
}

std::string fill(const char* pattern, int layer, int expert) {
  return fmt::format(fmt::runtime(pattern), fmt::arg("l", layer), fmt::arg("e", expert));
}

}  // namespace

const char* to_string(WeightClass kind) {
  switch (kind) {
    case kEmbedding:
      return "embedding";
    case kHead:
      return "head";
    case kNorm:
      return "norms";
    case kAttention:
      return "attention";
    case kRouter:
      return "routers";
    case kExperts:
      return "experts";
  }
  return "unknown";
}

std::span<const WeightRow> weight_table() {
  return kTable;
}

std::string WeightSlot::name() const {
  return fill(row->name, layer, expert);
}

std::string WeightSlot::name_5x() const {
  return row->name_5x == nullptr ? std::string() : fill(row->name_5x, layer, expert);
}

std::string WeightSlot::expected_shape() const {
  if (is_vector())
    return fmt::format("[{} ({})]", rows, row->rows);
  return fmt::format("[{} ({}), {} ({})]", rows, row->rows, cols, row->cols);
}

std::vector<WeightSlot> weight_slots(const ModelConfig& config) {
  std::vector<WeightSlot> slots;
  bool layers_added = false;
  for (const WeightRow& row : kTable) {
    if (row.scope != kModel) {
      for (int l = 0; l < config.num_layers() && !layers_added; ++l) add_layer(config, l, &slots);
      layers_added = true;
    } else if (row.kind != kHead || !config.tied_embeddings) {
      slots.push_back(make_slot(row, 0, 0, config));
    }
  }
  return slots;
}

Model make_empty_model(const ModelConfig& config) {
  Model model;
  model.config = config;
  model.layers.resize(config.layers.size());
  const size_t experts = static_cast<size_t>(config.num_experts);
  for (size_t l = 0; l < config.layers.size(); ++l) {
    Layer& layer = model.layers[l];
    if (config.layers[l] == AttentionKind::kLightning) {
      LightningAttention& attention = layer.attention.emplace<LightningAttention>();
      attention.slopes =
          lightning_slopes(config.num_heads, static_cast<int>(l), config.num_layers());
    } else {
      layer.attention.emplace<SoftmaxAttention>();
    }
    layer.moe.w1.resize(experts);
    layer.moe.w3.resize(experts);
    layer.moe.w2.resize(experts);
  }
  return model;
}

bool is_ignored_tensor(std::string_view name) {
  for (const std::string_view suffix : kIgnoredSuffixes) {
    if (name.ends_with(suffix))
      return true;
  }
  return false;
}

}  // namespace mm
