#include "model/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json_value.h"
#include "base/mapped_file.h"
#include "tests/model/shared_files.h"

namespace mm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Json read_json(const std::string& path) {
  return Json::parse(MappedFile(path).text());
}
Json original() {
  return read_json(golden_path("tiny/config.json"));
}
Json native() {
  return read_json(golden_path("tiny/native-config/config.json"));
}
ConfigFile read(const Json& json) {
  return read_config(json.dump(), "config.json");
}

void expect_error(const Json& json, ErrorKind kind, const std::vector<std::string>& parts) {
  try {
    read(json);
    FAIL() << "expected an error with " << parts[0];
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("config.json"));
    for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
  }
}
void expect_bad(const Json& json, const std::vector<std::string>& parts) {
  expect_error(json, ErrorKind::kBadInput, parts);
}
void expect_unsupported(const Json& json, const std::vector<std::string>& parts) {
  expect_error(json, ErrorKind::kUnsupported, parts);
}

/// The original config with one key replaced.
Json with(const char* key, const Json& value) {
  Json json = original();
  json[key] = value;
  return json;
}
Json without(const char* key) {
  Json json = original();
  json.erase(key);
  return json;
}
Json native_with(const char* key, const Json& value) {
  Json json = native();
  json[key] = value;
  return json;
}

TEST(ReadConfigTest, OriginalDialect) {
  const ConfigFile file = read(original());
  const ModelConfig& c = file.model;
  EXPECT_EQ(c.model_type, "minimax_text_01");
  EXPECT_EQ(c.vocab_size, 512);
  EXPECT_EQ(c.hidden_size, 128);
  EXPECT_EQ(c.expert_size, 128);
  EXPECT_EQ(c.num_heads, 2);
  EXPECT_EQ(c.num_kv_heads, 1);
  EXPECT_EQ(c.head_size, 128);
  EXPECT_EQ(c.rotary_dim, 64);
  EXPECT_EQ(c.rope_theta, 1e7);
  EXPECT_EQ(c.num_experts, 4);
  EXPECT_EQ(c.experts_per_token, 2);
  EXPECT_EQ(c.rms_norm_eps, 1e-5);
  EXPECT_EQ(c.lightning_norm_eps, 1e-6);
  EXPECT_TRUE(c.post_norm);
  EXPECT_FALSE(c.tied_embeddings);
  EXPECT_EQ(c.max_positions, 131072);
  EXPECT_EQ(c.num_layers(), 8);
  EXPECT_EQ(c.layers[0], AttentionKind::kLightning);
  EXPECT_EQ(c.layers[7], AttentionKind::kSoftmax);
  EXPECT_EQ(c.lightning_residual.alpha, 3.5565588200778455);
  EXPECT_EQ(c.softmax_residual.alpha, 3.5565588200778455);
  EXPECT_EQ(c.mlp_residual.beta, 1.0);
  EXPECT_THAT(c.eos_ids, ElementsAre(2));
  EXPECT_EQ(c.bos_id, -1);
  EXPECT_TRUE(file.unknown_keys.empty()) << file.unknown_keys[0];
  EXPECT_TRUE(file.quantization.method.empty());
}

TEST(ReadConfigTest, NativeDialect) {
  const ConfigFile file = read(native());
  EXPECT_EQ(file.model.model_type, "minimax");
  EXPECT_EQ(file.model.rotary_dim, 64);
  EXPECT_EQ(file.model.rope_theta, 1e7);
  EXPECT_TRUE(file.model.post_norm);
  EXPECT_EQ(file.model.mlp_residual.alpha, 3.5565588200778455);
  EXPECT_EQ(file.model.layers, read(original()).model.layers);
  EXPECT_TRUE(file.unknown_keys.empty()) << file.unknown_keys[0];
}

TEST(ReadConfigTest, PublishedConfigHasNoUnknownKeys) {
  const std::filesystem::path path = shared_path("real/config.json");
  if (!std::filesystem::exists(path))
    GTEST_SKIP() << path << " is absent";
  const ConfigFile file = read(read_json(path.string()));
  EXPECT_EQ(file.model.num_layers(), 80);
  EXPECT_EQ(file.model.attention_size(), 8192);
  EXPECT_EQ(file.model.max_positions, 10'240'000);
  EXPECT_TRUE(file.model.eos_ids.empty());
  EXPECT_TRUE(file.unknown_keys.empty()) << file.unknown_keys[0];
}

// Keys of transformers 4.x: theta on top, the share of rotating channels too.
TEST(ReadConfigTest, NativeFourDotX) {
  Json json = native();
  json.erase("rope_parameters");
  json["rope_theta"] = 5e6;
  json["partial_rotary_factor"] = 0.25;
  json["rope_scaling"] = nullptr;
  const ConfigFile file = read(json);
  EXPECT_EQ(file.model.rope_theta, 5e6);
  EXPECT_EQ(file.model.rotary_dim, 32);
  EXPECT_TRUE(file.unknown_keys.empty());
}

TEST(ReadConfigTest, DefaultsOfEachDialect) {
  Json json = original();
  for (const char* key : {"rope_theta", "rotary_dim", "postnorm", "rms_norm_eps", "hidden_act",
                          "layernorm_mlp_alpha", "tie_word_embeddings", "eos_token_id",
                          "shared_intermediate_size", "max_position_embeddings"})
    json.erase(key);
  ModelConfig c = read(json).model;
  EXPECT_EQ(c.rope_theta, 1e6);
  EXPECT_EQ(c.rotary_dim, 128);
  EXPECT_FALSE(c.post_norm);
  EXPECT_EQ(c.mlp_residual.alpha, 1);
  EXPECT_FALSE(c.tied_embeddings);
  EXPECT_TRUE(c.eos_ids.empty());

  json = native();
  for (const char* key : {"rope_parameters", "mlp_alpha_factor", "head_dim"}) json.erase(key);
  c = read(json).model;
  EXPECT_EQ(c.rope_theta, 1e6);
  EXPECT_EQ(c.head_size, 64);  // what the transformers class derives
  EXPECT_EQ(c.rotary_dim, 64);
  EXPECT_TRUE(c.post_norm);
  EXPECT_EQ(c.mlp_residual.alpha, 1);
}

TEST(ReadConfigTest, HeadSizeIsNotDerivedInTheOriginalDialect) {
  expect_bad(without("head_dim"), {"head_dim is missing; it cannot be derived from hidden_size 128 "
                                   "and num_attention_heads 2"});
}

TEST(ReadConfigTest, EndOfSequenceForms) {
  EXPECT_THAT(read(with("eos_token_id", {2, 7})).model.eos_ids, ElementsAre(2, 7));
  EXPECT_TRUE(read(with("eos_token_id", nullptr)).model.eos_ids.empty());
  EXPECT_EQ(read(with("bos_token_id", 3)).model.bos_id, 3);
  expect_bad(with("eos_token_id", "2"), {"eos_token_id: expected an integer, found a string"});
  expect_bad(with("eos_token_id", -2), {"eos_token_id -2: expected a token id"});
  expect_bad(with("eos_token_id", 512), {"eos_token_id 512, expected 0 to 511 (vocab_size - 1)"});
  expect_bad(with("bos_token_id", 512), {"bos_token_id 512, expected 0 to 511"});
  expect_bad(with("bos_token_id", {1, 2}), {"bos_token_id has 2 ids, expected one"});
}

TEST(ReadConfigTest, SharedExperts) {
  for (const Json& none : {Json(0), Json::array({0}), Json::array({0, 0}), Json(nullptr)})
    EXPECT_NO_THROW(read(with("shared_intermediate_size", none)));
  expect_unsupported(with("shared_intermediate_size", 64), {"shared_intermediate_size 64"});
  expect_unsupported(with("shared_intermediate_size", {0, 64}),
                     {"shared_intermediate_size [0,64]: expected 0"});
  expect_bad(with("shared_intermediate_size", "x"), {"shared_intermediate_size"});
}

TEST(ReadConfigTest, AttentionKinds) {
  Json json = without("attn_type_list");
  expect_bad(json, {"neither attn_type_list nor layer_types is given"});
  expect_bad(with("attn_type_list", {0, 1}),
             {"attn_type_list has 2 entries, expected num_hidden_layers 8"});
  expect_bad(with("attn_type_list", {0, 0, 0, 0, 0, 0, 0, 2}),
             {"attn_type_list: 2, expected 0 (lightning) or 1 (softmax)"});
  expect_bad(with("attn_type_list", "0"), {"attn_type_list: expected an array"});
  json = native();
  json["layer_types"][3] = "sliding_attention";
  expect_bad(json, {"layer_types: sliding_attention, expected linear_attention or full_attention"});
  // Both at once: only if they agree.
  json = original();
  json["layer_types"] = native()["layer_types"];
  EXPECT_NO_THROW(read(json));
  json["layer_types"][0] = "full_attention";
  expect_bad(json, {"attn_type_list and layer_types contradict each other"});
}

TEST(ReadConfigTest, Contradictions) {
  expect_bad(with("full_attn_alpha_factor", 2.0),
             {"layernorm_full_attention_alpha 3.5565588200778455 and full_attn_alpha_factor 2.0 "
              "contradict each other"});
  expect_bad(native_with("rope_theta", 1e6),
             {"rope_theta", "rope_parameters.rope_theta", "contradict each other"});
  EXPECT_NO_THROW(read(native_with("rope_theta", 10000000)));
  expect_bad(native_with("rotary_dim", 128),
             {"rotary_dim 128 and rope_parameters.partial_rotary_factor 0.5 (64 channels) "
              "contradict each other"});
  EXPECT_EQ(read(native_with("rotary_dim", 64)).model.rotary_dim, 64);
}

TEST(ReadConfigTest, Rotary) {
  Json json = native();
  json["rope_parameters"]["rope_type"] = "yarn";
  expect_unsupported(json, {"rope_parameters.rope_type yarn, expected default"});
  expect_unsupported(with("rope_scaling", {{"type", "linear"}, {"factor", 2}}),
                     {"rope_scaling.type linear"});
  json = native();
  json["rope_parameters"]["partial_rotary_factor"] = 0.3;
  expect_bad(json, {"partial_rotary_factor 0.3 times head_dim 128 is not a number of channels"});
  json["rope_parameters"]["partial_rotary_factor"] = 1.5;
  expect_bad(json, {"partial_rotary_factor 1.5"});
  expect_bad(with("rotary_dim", 63), {"rotary_dim 63, expected an even number of channels"});
  expect_bad(with("rotary_dim", 130), {"rotary_dim 130"});
  expect_bad(with("rope_theta", 0), {"rope_theta 0, expected a positive number"});
  expect_bad(with("rope_theta", 1e300), {"rope_theta 1e+300"});
}

TEST(ReadConfigTest, OtherModels) {
  expect_unsupported(with("model_type", "llama"), {"model_type llama, expected one of"});
  expect_unsupported(with("architectures", {"LlamaForCausalLM"}),
                     {"architecture LlamaForCausalLM, expected one of MiniMaxText01ForCausalLM"});
  for (const char* type : {"minimax_m1", "minimax", "MiniMaxText01", "MiniMaxM1"})
    EXPECT_EQ(read(with("model_type", type)).model.model_type, type);
  Json json = without("model_type");
  EXPECT_EQ(read(json).model.model_type, "MiniMaxText01ForCausalLM");
  json.erase("architectures");
  expect_bad(json, {"neither model_type nor architectures is given"});
  expect_unsupported(with("hidden_act", "gelu"), {"hidden_act gelu, expected silu"});
  expect_unsupported(with("sliding_window", 4096), {"sliding_window 4096, expected null"});
}

TEST(ReadConfigTest, VisionModelsGiveTheirTextPart) {
  Json json = {{"architectures", {"MiniMaxVL01ForConditionalGeneration"}},
               {"model_type", "minimax_vl_01"},
               {"text_config", original()},
               {"vision_config", {{"hidden_size", 3}}}};
  json["text_config"]["shared_intermediate_size"] = Json::array({0});
  EXPECT_EQ(read(json).model.model_type, "minimax_vl_01");
  EXPECT_EQ(read(json).model.hidden_size, 128);
  json.erase("text_config");
  expect_bad(json, {"text_config is missing, expected in a minimax_vl_01 model"});
}

TEST(ReadConfigTest, UnknownKeysAreListed) {
  Json json = original();
  json["zebra"] = 1;
  json["apple"] = {{"x", 2}};
  json["rope_parameters"] = {{"rope_theta", 1e7}, {"mscale", 1}};
  EXPECT_THAT(read(json).unknown_keys, ElementsAre("zebra", "apple", "rope_parameters.mscale"));
}

TEST(ReadConfigTest, MissingAndMistypedKeys) {
  for (const char* key :
       {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
        "num_attention_heads", "num_key_value_heads", "num_local_experts", "num_experts_per_tok"}) {
    expect_bad(without(key), {std::string(key) + " is missing"});
    expect_bad(with(key, nullptr), {std::string(key) + " is missing"});
    expect_bad(with(key, "8"), {std::string(key) + ": expected an integer, found a string"});
    expect_bad(with(key, 2.5), {std::string(key) + ": expected an integer, found a number"});
    expect_bad(with(key, 0), {std::string(key) + " 0, expected 1 to"});
    expect_bad(with(key, -1), {std::string(key) + " -1, expected 1 to"});
    expect_bad(with(key, int64_t{1} << 40), {std::string(key) + " 1099511627776, expected 1 to"});
  }
  expect_bad(with("postnorm", 1), {"postnorm: expected a boolean, found an integer"});
  expect_bad(with("rms_norm_eps", "x"), {"rms_norm_eps: expected a number, found a string"});
  expect_bad(with("rms_norm_eps", 0), {"rms_norm_eps 0, expected a positive number"});
  expect_bad(with("layernorm_mlp_alpha", 1e40), {"layernorm_mlp_alpha 1e+40"});
}

TEST(ReadConfigTest, Text) {
  EXPECT_THROW(read_config("", "config.json"), Error);
  EXPECT_THROW(read_config("{", "config.json"), Error);
  EXPECT_THROW(read_config("\"\xff\"", "config.json"), Error);
  expect_bad(Json::array({1}), {"expected an object, found an array"});
  std::string text = original().dump();
  text.insert(1, "\"hidden_size\": 64,");
  try {
    read_config(text, "config.json");
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "config.json: hidden_size is given twice");
  }
}

TEST(ValidateTest, Divisibility) {
  Json json = with("num_attention_heads", 63);
  json["num_key_value_heads"] = 8;
  expect_bad(json, {"num_attention_heads 63 is not divisible by num_key_value_heads 8"});
  expect_bad(with("num_experts_per_tok", 5),
             {"num_experts_per_tok 5 is more than num_local_experts 4"});
}

Json quantised(int bits, const Json& group_size, const char* strategy, const char* format) {
  const Json weights = {{"num_bits", bits},
                        {"type", "int"},
                        {"symmetric", true},
                        {"strategy", strategy},
                        {"group_size", group_size},
                        {"dynamic", false},
                        {"observer_kwargs", Json::object()}};
  return {{"quant_method", "compressed-tensors"},
          {"format", format},
          {"quantization_status", "compressed"},
          {"config_groups",
           {{"group_0",
             {{"targets", {"Linear"}}, {"weights", weights}, {"input_activations", nullptr}}}}},
          {"ignore", {"lm_head"}},
          {"kv_cache_scheme", nullptr}};
}

TEST(QuantizationConfigTest, AcceptedForms) {
  const auto read_quantization = [](const Json& json) {
    return read(with("quantization_config", json)).quantization;
  };
  QuantizationConfig q = read_quantization(quantised(8, nullptr, "channel", "int-quantized"));
  EXPECT_EQ(q.method, "compressed-tensors");
  EXPECT_EQ(q.bits, 8);
  EXPECT_EQ(q.group_size, 0);
  for (const int group : {32, 64, 128}) {
    q = read_quantization(quantised(4, group, "group", "pack-quantized"));
    EXPECT_EQ(q.bits, 4);
    EXPECT_EQ(q.group_size, group);
  }
  Json fp8 = quantised(8, nullptr, "channel", "float-quantized");
  fp8["config_groups"]["group_0"]["weights"]["type"] = "float";
  q = read_quantization(fp8);
  EXPECT_EQ(q.bits, 8);
  fp8["config_groups"]["group_0"]["input_activations"] = {
      {"num_bits", 8}, {"type", "float"}, {"strategy", "token"}, {"dynamic", true}};
  EXPECT_EQ(read_quantization(fp8).bits, 8);
  Json mixed = quantised(4, 64, "group", "mixed-precision");
  mixed["config_groups"]["group_1"] =
      quantised(8, nullptr, "channel", "int-quantized")["config_groups"]["group_0"];
  q = read_quantization(mixed);
  EXPECT_EQ(q.bits, 4);
  EXPECT_TRUE(read_quantization(nullptr).method.empty());
}

TEST(QuantizationConfigTest, OtherFormsAreNamed) {
  const auto expect = [](const Json& json, const std::string& part) {
    expect_unsupported(with("quantization_config", json), {part});
  };
  Json json = quantised(8, nullptr, "channel", "int-quantized");
  json["quant_method"] = "gptq";
  expect(json, "quantization_config.quant_method gptq: this engine reads compressed-tensors");
  expect(quantised(8, nullptr, "tensor", "int-quantized"),
         "with type int, num_bits 8, strategy tensor and group_size 0");
  expect(quantised(4, 16, "group", "pack-quantized"),
         "num_bits 4, strategy group and group_size 16");
  expect(quantised(8, nullptr, "channel", "pack-quantized"), "format pack-quantized");
  json = quantised(4, 64, "group", "pack-quantized");
  json["config_groups"]["group_0"]["weights"]["symmetric"] = false;
  expect(json, "group_0.weights.symmetric false");
  json = quantised(4, 64, "group", "pack-quantized");
  json["config_groups"]["group_0"]["weights"]["type"] = "float";
  expect(json, "with type float, num_bits 4, strategy group and group_size 64");
  json["config_groups"]["group_0"]["weights"]["type"] = "complex";
  expect(json, "group_0.weights.type complex");
  json["config_groups"]["group_0"]["weights"]["type"] = "int";
  json["config_groups"]["group_0"]["weights"]["actorder"] = "group";
  expect(json, "group_0.weights.actorder");
  json = quantised(8, nullptr, "channel", "int-quantized");
  json["config_groups"]["group_0"]["input_activations"] = {{"num_bits", 8}};
  expect(json, "group_0.input_activations {\"num_bits\":8}");
  json = quantised(8, nullptr, "channel", "float-quantized");
  expect(json, "format float-quantized");
  json["config_groups"]["group_0"]["weights"]["type"] = "float";
  json["config_groups"]["group_0"]["input_activations"] = {
      {"num_bits", 8}, {"type", "float"}, {"strategy", "tensor"}, {"dynamic", false}};
  expect(json, "group_0.input_activations {");
  json = quantised(8, nullptr, "channel", "int-quantized");
  json["kv_cache_scheme"] = {{"num_bits", 8}};
  expect(json, "kv_cache_scheme");
}

TEST(QuantizationConfigTest, BrokenForms) {
  const auto expect = [](const Json& json, const std::string& part) {
    expect_bad(with("quantization_config", json), {part});
  };
  expect(3, "quantization_config: expected an object");
  Json json = quantised(8, nullptr, "channel", "int-quantized");
  json.erase("config_groups");
  expect(json, "config_groups is missing");
  json["config_groups"] = Json::object();
  expect(json, "config_groups is empty");
  json["config_groups"]["g"] = Json::object();
  expect(json, "config_groups.g.weights is missing");
  json["config_groups"]["g"]["weights"] = Json::object();
  expect(json, "g.weights.num_bits is missing");
}

}  // namespace
}  // namespace mm
