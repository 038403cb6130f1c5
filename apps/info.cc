/// minimax info: what a model folder holds, and what a token and a sequence cost.
#include "base/error.h"
#include "base/json_value.h"
#include "commands.h"
#include "interrupt.h"
#include "model/summary.h"
#include "model/weights.h"
#include "output.h"
#include "session.h"

namespace mm::cli {

namespace {

constexpr const char* kExamples =
    "Checks every tensor of the folder and refuses a broken checkpoint with the reason.\n"
    "Examples:\n"
    "  minimax info models/mini\n"
    "  minimax info DIR --json";

struct Flags {
  CommonFlags common;
  std::string model;
};

std::string layer_kinds(const ModelConfig& config) {
  std::string text;
  for (const AttentionKind kind : config.layers) {
    text += kind == AttentionKind::kLightning ? 'L' : 'S';
  }
  return text;
}

Json scale_json(const ResidualScale& scale) {
  return {{"alpha", scale.alpha}, {"beta", scale.beta}};
}

Json config_json(const ModelConfig& config) {
  return {{"model_type", config.model_type},
          {"vocab_size", config.vocab_size},
          {"hidden_size", config.hidden_size},
          {"layers", config.num_layers()},
          {"layer_kinds", layer_kinds(config)},
          {"heads", config.num_heads},
          {"kv_heads", config.num_kv_heads},
          {"head_size", config.head_size},
          {"rotary_dim", config.rotary_dim},
          {"rope_theta", config.rope_theta},
          {"experts", config.num_experts},
          {"experts_per_token", config.experts_per_token},
          {"expert_size", config.expert_size},
          {"rms_norm_eps", config.rms_norm_eps},
          {"post_norm", config.post_norm},
          {"tied_embeddings", config.tied_embeddings},
          {"max_positions", config.max_positions},
          {"lightning_residual", scale_json(config.lightning_residual)},
          {"softmax_residual", scale_json(config.softmax_residual)},
          {"mlp_residual", scale_json(config.mlp_residual)},
          {"eos_ids", config.eos_ids}};
}

Json summary_json(const ModelSummary& summary) {
  Json classes = Json::array();
  for (const WeightSummary& weights : summary.classes) {
    classes.push_back({{"name", weights.name},
                       {"format", weights.format},
                       {"tensors", weights.tensors},
                       {"parameters", weights.parameters},
                       {"bytes", weights.bytes}});
  }
  return {{"classes", classes},
          {"tensors", summary.tensors},
          {"parameters", summary.parameters},
          {"active_parameters", summary.active_parameters},
          {"bytes", summary.bytes},
          {"token",
           {{"weight_bytes", summary.bytes_per_token},
            {"flops", 2 * summary.active_parameters},
            {"kv_bytes_int8", kv_bytes_per_token(summary.cache, DType::kI8)},
            {"kv_bytes_bf16", kv_bytes_per_token(summary.cache, DType::kBf16)},
            {"kv_bytes_f32", kv_bytes_per_token(summary.cache, DType::kF32)}}},
          {"sequence",
           {{"state_bytes", 4 * summary.cache.state},
            {"tail_bytes_bf16", 2 * summary.cache.tail},
            {"tail_bytes_f32", 4 * summary.cache.tail}}}};
}

/// 1234567 as "1.18 MiB".
std::string format_bytes(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.4g} {}", value, kUnits[unit]);
}

/// 45600000000 as "45.6 B".
std::string format_count(int64_t count) {
  constexpr std::pair<double, const char*> kUnits[] = {{1e9, "B"}, {1e6, "M"}, {1e3, "K"}};
  for (const auto& [size, name] : kUnits) {
    if (static_cast<double>(count) >= size) {
      return fmt::format("{:.4g} {}", static_cast<double>(count) / size, name);
    }
  }
  return std::to_string(count);
}

std::string describe_config(const ModelConfig& config) {
  return fmt::format(
      "architecture  {}, {} layers (L lightning, S softmax): {}\n"
      "sizes         vocabulary {}, hidden {}, {} heads of {}, {} KV heads, rotary {} (theta {})\n"
      "experts       {} of size {}, {} per token\n"
      "embeddings    {}\n"
      "positions     {} in the config (not a limit)\n",
      config.model_type, config.num_layers(), layer_kinds(config), config.vocab_size,
      config.hidden_size, config.num_heads, config.head_size, config.num_kv_heads,
      config.rotary_dim, config.rope_theta, config.num_experts, config.expert_size,
      config.experts_per_token, config.tied_embeddings ? "tied with the head" : "not tied",
      config.max_positions);
}

std::string describe_summary(const ModelSummary& summary) {
  std::string text = fmt::format("\n{:<12} {:>8} {:>12} {:>12}  {}\n", "weights", "tensors",
                                 "parameters", "bytes", "format");
  for (const WeightSummary& weights : summary.classes) {
    text +=
        fmt::format("{:<12} {:>8} {:>12} {:>12}  {}\n", weights.name, weights.tensors,
                    format_count(weights.parameters), format_bytes(weights.bytes), weights.format);
  }
  text += fmt::format("{:<12} {:>8} {:>12} {:>12}\n\n", "all", summary.tensors,
                      format_count(summary.parameters), format_bytes(summary.bytes));
  text += fmt::format(
      "a token reads     {} parameters, {} of weights, {} FLOPs besides attention\n"
      "a token stores    {} of keys and values in bf16 ({} in f32, {} in fp8 or int8)\n"
      "a sequence stores {} of state, {} of tail in bf16 ({} in f32)\n",
      format_count(summary.active_parameters), format_bytes(summary.bytes_per_token),
      format_count(2 * summary.active_parameters),
      format_bytes(kv_bytes_per_token(summary.cache, DType::kBf16)),
      format_bytes(kv_bytes_per_token(summary.cache, DType::kF32)),
      format_bytes(kv_bytes_per_token(summary.cache, DType::kI8)),
      format_bytes(4 * summary.cache.state), format_bytes(2 * summary.cache.tail),
      format_bytes(4 * summary.cache.tail));
  return text;
}

int run(const Flags& flags) {
  set_up_log(flags.common);
  const std::string folder = find_model_folder(flags.model);
  const ConfigFile file = read_config_file(folder);
  const Model model = load_model(folder);
  const ModelSummary summary = summarize(model);
  if (flags.common.json) {
    Json json = {{"folder", folder}, {"config", config_json(model.config)}};
    json["unknown_keys"] = file.unknown_keys;
    json["zero_rows"] = model.zero_rows.size();
    json.update(summary_json(summary));
    write_out(json.dump(2) + "\n");
    return kDone;
  }
  std::string text = fmt::format("folder        {}\n", folder) + describe_config(model.config);
  if (!model.zero_rows.empty()) {
    text += fmt::format("never drawn   {} vocabulary rows are all zero\n", model.zero_rows.size());
  }
  for (const std::string& key : file.unknown_keys) {
    text += fmt::format("unknown key   {}\n", key);
  }
  write_out(text + describe_summary(summary));
  return kDone;
}

}  // namespace

Command make_info_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("info", "What a model folder holds and costs");
  const auto flags = std::make_shared<Flags>();
  app->footer(kExamples);
  app->add_option("DIR,-m,--model", flags->model, "Model folder (default: the bundled model)")
      ->type_name("DIR");
  add_common_flags(*app, flags->common);
  return {app, [flags] { return run(*flags); }};
}

}  // namespace mm::cli
