#include "model/config_quantization.h"

#include <optional>
#include <string>

#include "base/error.h"

namespace mm {
namespace {

constexpr const char* kReads =
    "this engine reads compressed-tensors weights as symmetric int8 per channel (int-quantized), "
    "e4m3 per channel (float-quantized) or int4 in groups of 32, 64 or 128 (pack-quantized)";

[[noreturn]] void unsupported(const std::string& what, std::string_view found) {
  raise(ErrorKind::kUnsupported, "{} {}: {}", what, found, kReads);
}

std::optional<JsonView> present(const JsonView& object, std::string_view key) {
  std::optional<JsonView> value = object.find(key);
  if (value && value->is_null())
    value.reset();
  return value;
}

std::string string_or(const JsonView& object, std::string_view key, const std::string& where,
                      std::string_view missing) {
  const std::optional<JsonView> value = present(object, key);
  return std::string(value ? value->as_string(where + "." + std::string(key)) : missing);
}

// Something that must be absent, null, false or empty for weights to mean what we compute.
void refuse_if_set(const JsonView& object, std::string_view key, const std::string& where) {
  const std::optional<JsonView> value = present(object, key);
  if (!value || value->dump() == "{}" || value->dump() == "false" || value->dump() == "[]")
    return;
  unsupported(where + "." + std::string(key), value->dump());
}

struct Scheme {
  int bits = 0;
  int group_size = 0;
  bool fp8 = false;
};

Scheme read_scheme(const JsonView& weights, const std::string& where) {
  const std::string type = string_or(weights, "type", where, "int");
  if (type != "int" && type != "float")
    unsupported(where + ".type", type);
  const bool fp8 = type == "float";
  const std::optional<JsonView> symmetric = present(weights, "symmetric");
  if (symmetric && !symmetric->as_bool(where + ".symmetric"))
    unsupported(where + ".symmetric", "false");
  refuse_if_set(weights, "actorder", where);
  refuse_if_set(weights, "block_structure", where);
  refuse_if_set(weights, "dynamic", where);
  const std::optional<JsonView> bits = present(weights, "num_bits");
  if (!bits)
    bad_input("{}.num_bits is missing", where);
  const int64_t count = bits->as_int(where + ".num_bits");
  const std::string strategy = string_or(weights, "strategy", where, "");
  const std::optional<JsonView> group = present(weights, "group_size");
  const int64_t group_size = group ? group->as_int(where + ".group_size") : 0;
  if (count == 8 && strategy == "channel" && group_size <= 0)
    return {8, 0, fp8};
  if (!fp8 && count == 4 && (strategy == "group" || strategy.empty()) &&
      (group_size == 32 || group_size == 64 || group_size == 128))
    return {4, static_cast<int>(group_size)};
  unsupported(where, fmt::format("with type {}, num_bits {}, strategy {} and group_size {}", type,
                                 count, strategy.empty() ? "null" : strategy, group_size));
}

void check_format(const std::string& format, const Scheme& scheme, const std::string& where) {
  const bool fits = (scheme.fp8 && format == "float-quantized") ||
                    (scheme.bits == 8 && !scheme.fp8 && format == "int-quantized") ||
                    (scheme.bits == 4 && format == "pack-quantized") ||
                    format == "mixed-precision" || format.empty();
  if (!fits)
    unsupported(where + ".format", format);
}

// Activations of fp8 weights: e4m3, with a scale per token that is found while computing.
void check_dynamic_fp8(const JsonView& activations, const std::string& where) {
  const std::optional<JsonView> bits = present(activations, "num_bits");
  const std::optional<JsonView> dynamic = present(activations, "dynamic");
  const bool fits = bits && bits->as_int(where + ".num_bits") == 8 &&
                    string_or(activations, "type", where, "") == "float" &&
                    string_or(activations, "strategy", where, "") == "token" && dynamic &&
                    dynamic->as_bool(where + ".dynamic");
  if (!fits)
    unsupported(where, activations.dump());
}

Scheme read_group(const JsonView& group, const std::string& format, const std::string& where) {
  refuse_if_set(group, "output_activations", where);
  const std::optional<JsonView> weights = present(group, "weights");
  if (!weights)
    bad_input("{}.weights is missing", where);
  const Scheme scheme = read_scheme(*weights, where + ".weights");
  const std::optional<JsonView> inputs = present(group, "input_activations");
  if (inputs && scheme.fp8)
    check_dynamic_fp8(*inputs, where + ".input_activations");
  else
    refuse_if_set(group, "input_activations", where);
  check_format(string_or(group, "format", where, format), scheme, where);
  return scheme;
}

}  // namespace

QuantizationConfig read_quantization(const JsonView& root, std::string_view source) {
  const std::optional<JsonView> config = present(root, "quantization_config");
  if (!config)
    return {};
  const std::string where = fmt::format("{}: quantization_config", source);
  config->members(where);  // refuses anything but an object
  QuantizationConfig result;
  result.method = string_or(*config, "quant_method", where, "");
  if (result.method != "compressed-tensors")
    unsupported(where + ".quant_method", result.method.empty() ? "missing" : result.method);
  refuse_if_set(*config, "kv_cache_scheme", where);
  refuse_if_set(*config, "sparsity_config", where);
  refuse_if_set(*config, "transform_config", where);
  const std::string format = string_or(*config, "format", where, "");
  const std::optional<JsonView> groups = present(*config, "config_groups");
  if (!groups)
    bad_input("{}.config_groups is missing", where);
  for (const auto& [name, group] : groups->members(where + ".config_groups")) {
    const Scheme scheme = read_group(group, format, where + ".config_groups." + std::string(name));
    // The summary speaks of the first group; each tensor's own files say how it is packed.
    if (result.bits == 0) {
      result.bits = scheme.bits;
      result.group_size = scheme.group_size;
    }
  }
  if (result.bits == 0)
    bad_input("{}.config_groups is empty", where);
  return result;
}

}  // namespace mm
