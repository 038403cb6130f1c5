#include "model/quantize_config.h"

namespace mm {
namespace {

Json int8_scheme() {
  return {{"num_bits", 8},         {"type", "int"},         {"symmetric", true},
          {"strategy", "channel"}, {"group_size", nullptr}, {"dynamic", false}};
}

Json fp8_scheme(const std::string& strategy, bool dynamic) {
  return {{"num_bits", 8},        {"type", "float"},       {"symmetric", true},
          {"strategy", strategy}, {"group_size", nullptr}, {"dynamic", dynamic}};
}

Json int4_scheme(int group_size) {
  return {{"num_bits", 4},
          {"type", "int"},
          {"symmetric", true},
          {"strategy", "group"},
          {"group_size", group_size},
          {"dynamic", false}};
}

Json group(const Json& targets, const Json& scheme, const std::string& format) {
  return {{"targets", targets},
          {"weights", scheme},
          {"input_activations", nullptr},
          {"output_activations", nullptr},
          {"format", format}};
}

std::string module_of(const std::string& tensor) {
  const std::string suffix = ".weight";
  return tensor.ends_with(suffix) ? tensor.substr(0, tensor.size() - suffix.size()) : tensor;
}

}  // namespace

Json quantization_config(const QuantizeOptions& options, const std::vector<std::string>& kept) {
  const bool int8 = options.format == "int8";
  const bool fp8 = options.format == "fp8";
  const std::string format = int8 ? "int-quantized" : fp8 ? "float-quantized" : "pack-quantized";
  Json groups = Json::object();
  Json linear = Json::array({"Linear"});
  if (int8 && options.quantize_embeddings)
    linear.push_back("Embedding");
  groups["group_0"] = group(linear,
                            int8  ? int8_scheme()
                            : fp8 ? fp8_scheme("channel", false)
                                  : int4_scheme(options.group_size),
                            format);
  // Engines with fp8 products may round activations as well, with a scale per token.
  if (fp8)
    groups["group_0"]["input_activations"] = fp8_scheme("token", true);
  const bool mixed = !int8 && options.quantize_embeddings;
  if (mixed)
    groups["group_1"] =
        group(Json::array({"Embedding", "re:.*lm_head$"}), int8_scheme(), "int-quantized");
  Json ignore = Json::array({"re:.*block_sparse_moe\\.gate$"});
  if (!options.quantize_embeddings)
    ignore.push_back("lm_head");
  for (const std::string& tensor : kept) ignore.push_back(module_of(tensor));
  return {{"quant_method", "compressed-tensors"},
          {"format", mixed ? "mixed-precision" : format},
          {"quantization_status", "compressed"},
          {"config_groups", groups},
          {"ignore", ignore},
          {"kv_cache_scheme", nullptr}};
}

}  // namespace mm
