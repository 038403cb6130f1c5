#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <span>

#include "base/error.h"
#include "model/config.h"
#include "model/config_keys.h"
#include "model/config_quantization.h"

namespace mm {
namespace {

using Names = std::initializer_list<std::string_view>;

constexpr std::string_view kVisionType = "minimax_vl_01";
constexpr std::string_view kVisionArchitecture = "MiniMaxVL01ForConditionalGeneration";
constexpr std::string_view kModelTypes[] = {"minimax_text_01", "minimax_m1", "minimax",
                                            "MiniMaxText01",   "MiniMaxM1",  "minimax_vl_01_text"};
constexpr std::string_view kArchitectures[] = {"MiniMaxText01ForCausalLM", "MiniMaxM1ForCausalLM",
                                               "MiniMaxForCausalLM", kVisionArchitecture};

// Known keys on which inference does not depend. `block_size` is how the reference cuts its
// loops, `max_position_embeddings` is read as metadata elsewhere.
constexpr std::string_view kIgnored[] = {
    "architectures", "model_type", "auto_map", "attention_dropout", "initializer_range",
    "router_aux_loss_coef", "router_jitter_noise", "output_router_logits", "shared_moe_mode",
    "use_cache", "torch_dtype", "dtype", "transformers_version", "pad_token_id", "block_size",
    "_name_or_path", "quantization_config",
    // Present in some native files although that dialect has no use for it.
    "rope_parameters", "rope_scaling"};

bool contains(std::span<const std::string_view> list, std::string_view value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

// What a reader of one dialect assumes for keys that the file leaves out: the defaults of the
// class that wrote it.
struct Dialect {
  bool native = false;
  bool post_norm = false;
};

std::string string_of(const JsonView& object, std::string_view key, std::string_view source) {
  const std::optional<JsonView> value = object.find(key);
  if (!value || value->is_null())
    return {};
  return std::string(value->as_string(fmt::format("{}: {}", source, key)));
}

std::string first_architecture(const JsonView& root, std::string_view source) {
  const std::optional<JsonView> list = root.find("architectures");
  if (!list || list->is_null())
    return {};
  const std::string what = fmt::format("{}: architectures", source);
  std::string unknown;
  for (const JsonView& item : list->elements(what)) {
    const std::string_view name = item.as_string(what);
    if (contains(kArchitectures, name))
      return std::string(name);
    unknown = name;
  }
  if (!unknown.empty())
    raise(ErrorKind::kUnsupported, "{}: architecture {}, expected one of {}", source, unknown,
          fmt::join(kArchitectures, ", "));
  return {};
}

std::string read_model_type(const JsonView& root, std::string_view source) {
  const std::string architecture = first_architecture(root, source);
  const std::string type = string_of(root, "model_type", source);
  if (type.empty() && architecture.empty())
    bad_input("{}: neither model_type nor architectures is given; not a MiniMax-01 config?",
              source);
  if (type.empty())
    return architecture;
  if (type != kVisionType && !contains(kModelTypes, type))
    raise(ErrorKind::kUnsupported, "{}: model_type {}, expected one of {}, {}", source, type,
          fmt::join(kModelTypes, ", "), kVisionType);
  return type;
}

AttentionKind kind_of_number(const JsonView& item, const std::string& what) {
  const int64_t value = item.as_int(what);
  if (value != 0 && value != 1)
    bad_input("{}: {}, expected 0 (lightning) or 1 (softmax)", what, value);
  return value == 0 ? AttentionKind::kLightning : AttentionKind::kSoftmax;
}

AttentionKind kind_of_name(const JsonView& item, const std::string& what) {
  const std::string_view value = item.as_string(what);
  if (value != "linear_attention" && value != "full_attention")
    bad_input("{}: {}, expected linear_attention or full_attention", what, value);
  return value == "linear_attention" ? AttentionKind::kLightning : AttentionKind::kSoftmax;
}

std::vector<AttentionKind> read_kinds(const ConfigKey& key, std::string_view source,
                                      AttentionKind (*kind_of)(const JsonView&,
                                                               const std::string&)) {
  const std::string what = key.what(source);
  std::vector<AttentionKind> kinds;
  for (const JsonView& item : key.value.elements(what)) kinds.push_back(kind_of(item, what));
  return kinds;
}

// A missing list has no safe default: the native class would alternate kinds, starting with full.
std::vector<AttentionKind> read_layers(ConfigKeys& keys, Dialect* dialect) {
  const std::optional<ConfigKey> numbers = keys.find({"attn_type_list"});
  const std::optional<ConfigKey> names = keys.find({"layer_types"});
  if (!numbers && !names)
    bad_input(
        "{}: neither attn_type_list nor layer_types is given, so the kind of attention of "
        "each layer is unknown",
        keys.source());
  dialect->native = !numbers;
  dialect->post_norm = dialect->native;
  std::vector<AttentionKind> layers = numbers ? read_kinds(*numbers, keys.source(), kind_of_number)
                                              : read_kinds(*names, keys.source(), kind_of_name);
  if (numbers && names && layers != read_kinds(*names, keys.source(), kind_of_name))
    bad_input("{}: attn_type_list and layer_types contradict each other; remove the wrong one",
              keys.source());
  const int64_t count = keys.integer({"num_hidden_layers"}, 1, kMaxLayers);
  if (static_cast<int64_t>(layers.size()) != count)
    bad_input("{}: {} has {} entries, expected num_hidden_layers {}", keys.source(),
              numbers ? "attn_type_list" : "layer_types", layers.size(), count);
  return layers;
}

// hidden_size / num_attention_heads is what the transformers class means by an absent head_dim;
// the original files always say it, and it is not that quotient there.
int read_head_size(ConfigKeys& keys, const Dialect& dialect, const ModelConfig& config) {
  if (keys.find({"head_dim"}))
    return static_cast<int>(keys.integer({"head_dim"}, 1, kMaxHeadSize));
  if (!dialect.native || config.hidden_size % config.num_heads != 0)
    bad_input(
        "{}: head_dim is missing; it cannot be derived from hidden_size {} and "
        "num_attention_heads {}",
        keys.source(), config.hidden_size, config.num_heads);
  return static_cast<int>(config.hidden_size / config.num_heads);
}

void require_plain_rope(ConfigKeys& keys) {
  const std::optional<ConfigKey> type =
      keys.find({"rope_parameters.rope_type", "rope_parameters.type", "rope_scaling.rope_type",
                 "rope_scaling.type"});
  if (!type)
    return;
  const std::string_view name = type->value.as_string(type->what(keys.source()));
  if (name != "default")
    raise(ErrorKind::kUnsupported,
          "{}: {} {}, expected default: scaled rotary positions are not "
          "part of this architecture",
          keys.source(), type->name, name);
}

// Channels that rotate: a count in the original dialect, a share of head_dim in the native one.
// Without either, both classes rotate the whole head.
int read_rotary_dim(ConfigKeys& keys, int head_size) {
  const std::optional<ConfigKey> count = keys.find({"rotary_dim"});
  const std::optional<ConfigKey> share =
      keys.find({"rope_parameters.partial_rotary_factor", "partial_rotary_factor"});
  int64_t channels = head_size;
  if (share) {
    const double factor = share->value.as_double(share->what(keys.source()));
    const double product = factor * head_size;
    if (!(factor > 0 && factor <= 1) || product != std::round(product))
      bad_input("{}: {} {} times head_dim {} is not a number of channels", keys.source(),
                share->name, factor, head_size);
    channels = static_cast<int64_t>(product);
  }
  if (!count)
    return static_cast<int>(channels);
  const int64_t stated = keys.integer({"rotary_dim"}, 2, kMaxHeadSize);
  if (share && stated != channels)
    bad_input(
        "{}: rotary_dim {} and {} {} ({} channels) contradict each other; remove the wrong "
        "one",
        keys.source(), stated, share->name, share->value.dump(), channels);
  return static_cast<int>(stated);
}

std::vector<int32_t> read_ids(ConfigKeys& keys, std::string_view name) {
  const std::optional<ConfigKey> key = keys.find({name});
  if (!key)
    return {};
  const std::string what = key->what(keys.source());
  std::vector<JsonView> items{key->value};
  if (key->value.is_array())
    items = key->value.elements(what);
  std::vector<int32_t> ids;
  for (const JsonView& item : items) {
    const int64_t id = item.as_int(what);
    if (id < 0 || id >= kMaxVocabulary)
      bad_input("{} {}: expected a token id", what, id);
    ids.push_back(static_cast<int32_t>(id));
  }
  return ids;
}

ResidualScale read_residual(ConfigKeys& keys, Names alpha, Names beta) {
  return {keys.number_or(alpha, 1), keys.number_or(beta, 1)};
}

void refuse_shared_expert(ConfigKeys& keys) {
  const std::optional<ConfigKey> key = keys.find({"shared_intermediate_size"});
  if (!key)
    return;
  const std::string what = key->what(keys.source());
  std::vector<JsonView> items{key->value};
  if (key->value.is_array())
    items = key->value.elements(what);
  for (const JsonView& item : items) {
    if (item.as_int(what) != 0)
      raise(ErrorKind::kUnsupported,
            "{} {}: expected 0; no released checkpoint has a shared expert, and neither has this "
            "engine",
            what, key->value.dump());
  }
}

void refuse_unsupported(ConfigKeys& keys) {
  refuse_shared_expert(keys);
  require_plain_rope(keys);
  if (const std::optional<ConfigKey> act = keys.find({"hidden_act"})) {
    const std::string_view name = act->value.as_string(act->what(keys.source()));
    if (name != "silu")
      raise(ErrorKind::kUnsupported, "{}: hidden_act {}, expected silu", keys.source(), name);
  }
  if (const std::optional<ConfigKey> window = keys.find({"sliding_window"}))
    raise(ErrorKind::kUnsupported,
          "{}: sliding_window {}, expected null: softmax layers of this "
          "architecture see every earlier token",
          keys.source(), window->value.dump());
}

void read_sizes(ConfigKeys& keys, ModelConfig* config) {
  config->vocab_size = keys.integer({"vocab_size"}, 1, kMaxVocabulary);
  config->hidden_size = keys.integer({"hidden_size"}, 1, kMaxHidden);
  config->expert_size = keys.integer({"intermediate_size"}, 1, kMaxExpertSize);
  config->num_heads = static_cast<int>(keys.integer({"num_attention_heads"}, 1, kMaxHeads));
  config->num_kv_heads = static_cast<int>(keys.integer({"num_key_value_heads"}, 1, kMaxHeads));
  config->num_experts = static_cast<int>(keys.integer({"num_local_experts"}, 1, kMaxExperts));
  config->experts_per_token =
      static_cast<int>(keys.integer({"num_experts_per_tok"}, 1, kMaxExperts));
}

ModelConfig read_text_model(ConfigKeys& keys, std::string model_type) {
  ModelConfig config;
  config.model_type = std::move(model_type);
  Dialect dialect;
  config.layers = read_layers(keys, &dialect);
  refuse_unsupported(keys);
  read_sizes(keys, &config);
  config.head_size = read_head_size(keys, dialect, config);
  config.rotary_dim = read_rotary_dim(keys, config.head_size);
  config.rope_theta = keys.number_or({"rope_theta", "rope_parameters.rope_theta"}, 1e6);
  config.rms_norm_eps = keys.number_or({"rms_norm_eps"}, 1e-5);
  config.post_norm = keys.boolean_or("postnorm", dialect.post_norm);
  config.tied_embeddings = keys.boolean_or("tie_word_embeddings", false);
  config.max_positions = keys.integer_or({"max_position_embeddings"}, 0);
  config.lightning_residual =
      read_residual(keys, {"layernorm_linear_attention_alpha", "linear_attn_alpha_factor"},
                    {"layernorm_linear_attention_beta", "linear_attn_beta_factor"});
  config.softmax_residual =
      read_residual(keys, {"layernorm_full_attention_alpha", "full_attn_alpha_factor"},
                    {"layernorm_full_attention_beta", "full_attn_beta_factor"});
  config.mlp_residual = read_residual(keys, {"layernorm_mlp_alpha", "mlp_alpha_factor"},
                                      {"layernorm_mlp_beta", "mlp_beta_factor"});
  config.eos_ids = read_ids(keys, "eos_token_id");
  const std::vector<int32_t> bos = read_ids(keys, "bos_token_id");
  if (bos.size() > 1)
    bad_input("{}: bos_token_id has {} ids, expected one", keys.source(), bos.size());
  config.bos_id = bos.empty() ? -1 : bos[0];
  return config;
}

// The language model's own object in a vision model's config; empty for text models.
std::optional<JsonView> text_part_of(const JsonView& root, std::string* model_type,
                                     std::string_view source) {
  if (*model_type != kVisionType && *model_type != kVisionArchitecture)
    return std::nullopt;
  *model_type = kVisionType;
  std::optional<JsonView> text = root.find("text_config");
  if (!text)
    bad_input("{}: text_config is missing, expected in a {} model", source, kVisionType);
  read_model_type(*text, fmt::format("{}: text_config", source));
  return text;
}

}  // namespace

ConfigFile read_config(std::string_view text, std::string_view source) {
  const JsonDocument document = JsonDocument::parse(text, source);
  const JsonView root = document.root();
  if (!root.is_object())
    bad_input("{}: expected an object, found {}", source, to_string(root.kind()));
  ConfigFile file;
  file.model.model_type = read_model_type(root, source);
  const std::optional<JsonView> text_part = text_part_of(root, &file.model.model_type, source);
  ConfigKeys keys(text_part.value_or(root),
                  text_part ? fmt::format("{}: text_config", source) : std::string(source));
  file.model = read_text_model(keys, file.model.model_type);
  for (const std::string_view name : kIgnored) keys.ignore(name);
  file.unknown_keys = keys.unknown();
  file.quantization = read_quantization(root, source);
  validate(file.model, source);
  return file;
}

}  // namespace mm
