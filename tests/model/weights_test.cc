#include "model/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/weight_table.h"
#include "tests/model/resave.h"
#include "tests/model/shared_files.h"

namespace mm {
namespace {

using testing::HasSubstr;

/// The error of loading a folder.
void expect_load_error(const std::string& folder, ErrorKind kind,
                       const std::vector<std::string>& parts) {
  try {
    load_model(folder);
    FAIL() << "expected an error with " << parts[0];
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

float value_at(const TensorView& view, int64_t i) {
  switch (view.dtype) {
    case DType::kF32:
      return view.ptr<float>()[i];
    case DType::kF16:
      return to_float(view.ptr<Float16>()[i]);
    default:
      return to_float(view.ptr<BFloat16>()[i]);
  }
}

/// Every weight of both models, element by element.
void expect_same_weights(Model& a, Model& b) {
  const std::vector<WeightSlot> slots = weight_slots(a.config);
  ASSERT_EQ(slots.size(), weight_slots(b.config).size());
  for (const WeightSlot& slot : slots) {
    const TensorView x = slot.is_vector() ? slot.vector(a).view() : slot.matrix(a).data;
    const TensorView y = slot.is_vector() ? slot.vector(b).view() : slot.matrix(b).data;
    ASSERT_EQ(x.numel(), y.numel()) << slot.name();
    int64_t different = 0;
    for (int64_t i = 0; i < x.numel(); ++i) different += value_at(x, i) != value_at(y, i);
    EXPECT_EQ(different, 0) << slot.name();
  }
  EXPECT_EQ(a.zero_rows, b.zero_rows);
}

void expect_same_config(const ModelConfig& a, const ModelConfig& b) {
  EXPECT_EQ(a.layers, b.layers);
  EXPECT_EQ(a.vocab_size, b.vocab_size);
  EXPECT_EQ(a.hidden_size, b.hidden_size);
  EXPECT_EQ(a.expert_size, b.expert_size);
  EXPECT_EQ(a.num_heads, b.num_heads);
  EXPECT_EQ(a.num_kv_heads, b.num_kv_heads);
  EXPECT_EQ(a.head_size, b.head_size);
  EXPECT_EQ(a.rotary_dim, b.rotary_dim);
  EXPECT_EQ(a.rope_theta, b.rope_theta);
  EXPECT_EQ(a.num_experts, b.num_experts);
  EXPECT_EQ(a.experts_per_token, b.experts_per_token);
  EXPECT_EQ(a.rms_norm_eps, b.rms_norm_eps);
  EXPECT_EQ(a.post_norm, b.post_norm);
  EXPECT_EQ(a.tied_embeddings, b.tied_embeddings);
  EXPECT_EQ(a.max_positions, b.max_positions);
  EXPECT_EQ(a.lightning_residual.alpha, b.lightning_residual.alpha);
  EXPECT_EQ(a.softmax_residual.alpha, b.softmax_residual.alpha);
  EXPECT_EQ(a.mlp_residual.alpha, b.mlp_residual.alpha);
  EXPECT_EQ(a.eos_ids, b.eos_ids);
}

class GoldenFolderTest : public testing::TestWithParam<const char*> {
 protected:
  std::string source_ = golden_path(GetParam());
  TemporaryFolder folder_;
};

TEST_P(GoldenFolderTest, NativeConfigIsTheSameModel) {
  const std::string native = folder_ / "native";
  start_folder(native, source_ + "/native-config/config.json");
  TensorSet::of_folder(source_).save(native + "/model.safetensors");
  Model a = load_model(source_);
  Model b = load_model(native);
  expect_same_config(a.config, b.config);
  expect_same_weights(a, b);
}

TEST_P(GoldenFolderTest, PackedExpertsAreTheSameModelWithoutCopies) {
  save_packed_5x(source_, folder_ / "packed");
  Model a = load_model(source_);
  Model b = load_model(folder_ / "packed");
  expect_same_config(a.config, b.config);
  expect_same_weights(a, b);
  // w1, w3 and w2 of every expert are slices of the mapped stacks.
  const Moe& moe = b.layers[0].moe;
  const char* w1 = static_cast<const char*>(moe.w1[0].data.data);
  EXPECT_EQ(static_cast<const char*>(moe.w3[0].data.data) - w1, moe.w1[0].bytes());
  EXPECT_EQ(static_cast<const char*>(moe.w1[1].data.data) - w1, 2 * moe.w1[0].bytes());
}

TEST_P(GoldenFolderTest, ZeroBasedShardsAreTheSameModel) {
  save_sharded(source_, folder_ / "sharded", 5);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "sharded/model-00000-of-00005.safetensors"));
  Model a = load_model(source_);
  Model b = load_model(folder_ / "sharded");
  expect_same_weights(a, b);
}

TEST_P(GoldenFolderTest, MixedTypesStayAsStored) {
  save_mixed(source_, folder_ / "mixed");
  Model a = load_model(source_);
  Model b = load_model(folder_ / "mixed");
  expect_same_weights(a, b);
  EXPECT_EQ(b.layers[0].moe.router.data.dtype, DType::kF32);
  EXPECT_EQ(b.layers[0].moe.w1[0].data.dtype, DType::kBf16);
}

TEST_P(GoldenFolderTest, HalfPrecisionIsRead) {
  save_f16(source_, folder_ / "f16");
  Model a = load_model(source_);
  Model b = load_model(folder_ / "f16");
  const Weight& x = a.layers[0].moe.w2[1];
  const Weight& y = b.layers[0].moe.w2[1];
  ASSERT_EQ(y.data.dtype, DType::kF16);
  for (int64_t i = 0; i < x.data.numel(); ++i)
    ASSERT_NEAR(value_at(x.data, i), value_at(y.data, i),
                1e-6 + 1e-3 * std::abs(value_at(x.data, i)));
}

INSTANTIATE_TEST_SUITE_P(Golden, GoldenFolderTest, testing::Values("tiny", "tiny-hd64"),
                         [](const auto& info) {
                           return info.param == std::string("tiny") ? "Tiny" : "TinyHd64";
                         });

TEST(LoadModelTest, TiedHeadIsAViewOfTheEmbedding) {
  const Model hd64 = load_model(golden_path("tiny-hd64"));
  EXPECT_EQ(hd64.head.data.data, hd64.embedding.data.data);
  const Model tiny = load_model(golden_path("tiny"));
  EXPECT_NE(tiny.head.data.data, tiny.embedding.data.data);
}

/// A folder with the tensors of a golden one, for tests that break something.
class BrokenFolderTest : public testing::Test {
 protected:
  explicit BrokenFolderTest(const std::string& name = "tiny")
      : source_(golden_path(name)), set_(TensorSet::of_folder(source_)) {
    start_folder(path_, source_ + "/config.json");
  }
  void expect_error(const std::vector<std::string>& parts,
                    ErrorKind kind = ErrorKind::kBadInput) const {
    set_.save(path_ + "/model.safetensors");
    expect_load_error(path_, kind, parts);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "broken";
  std::string source_;
  TensorSet set_;
};

TEST_F(BrokenFolderTest, MissingTensor) {
  set_.views.erase("model.layers.3.self_attn.out_proj.weight");
  expect_error({path_, "tensor model.layers.3.self_attn.out_proj.weight is missing",
                "expected F32, BF16 or F16 [128 (D), 256 (HK)]"});
}

TEST_F(BrokenFolderTest, MissingNorm) {
  set_.views.erase("model.norm.weight");
  expect_error({"tensor model.norm.weight is missing", "[128 (D)]"});
}

TEST_F(BrokenFolderTest, MissingUntiedHead) {
  set_.views.erase("lm_head.weight");
  expect_error({"tensor lm_head.weight is missing", "[512 (V), 128 (D)]"});
}

TEST_F(BrokenFolderTest, LeftoverTensors) {
  set_.add("model.layers.9.mystery", DType::kF32, {3});
  set_.add("model.layers.9.mystery2", DType::kF32, {3});
  expect_error(
      {"/model.safetensors: tensor model.layers.9.mystery F32 [3] is not part of the model",
       "(1 more are not either)"});
}

TEST_F(BrokenFolderTest, StoredDecayBuffersAreIgnored) {
  for (const char* name : {"slope_rate", "query_decay", "key_decay", "diagonal_decay"})
    set_.add(std::string("model.layers.0.self_attn.") + name, DType::kF32, {2, 1, 1});
  set_.add("model.layers.7.self_attn.rotary_emb.inv_freq", DType::kF32, {32});
  set_.save(path_ + "/model.safetensors");
  EXPECT_NO_THROW(load_model(path_));
}

TEST_F(BrokenFolderTest, WrongShape) {
  set_.add("model.layers.7.self_attn.k_proj.weight", DType::kBf16, {256, 128});
  expect_error(
      {"/model.safetensors: tensor model.layers.7.self_attn.k_proj.weight is BF16 [256, 128]",
       "expected F32, BF16 or F16 [128 (GK), 128 (D)]"});
}

TEST_F(BrokenFolderTest, WrongType) {
  set_.add("model.layers.7.self_attn.k_proj.weight", DType::kI64, {128, 128});
  expect_error({"k_proj.weight is I64 [128, 128]", "expected F32, BF16 or F16"});
}

TEST_F(BrokenFolderTest, Int8WithoutScales) {
  set_.add("model.layers.7.self_attn.k_proj.weight", DType::kI8, {128, 128});
  expect_error({"k_proj.weight is I8 [128, 128]", "expected F32, BF16 or F16"});
}

TEST_F(BrokenFolderTest, WrongScales) {
  set_.add("model.layers.7.self_attn.k_proj.weight", DType::kI8, {128, 128});
  set_.add("model.layers.7.self_attn.k_proj.weight_scale", DType::kF32, {128});
  expect_error({"k_proj.weight_scale is F32 [128]", "expected F32, BF16 or F16 [128, 1]"});
}

TEST_F(BrokenFolderTest, ScalesBesideAFloatMatrix) {
  set_.add("model.layers.7.self_attn.k_proj.weight_scale", DType::kF32, {128, 1});
  expect_error({"k_proj.weight is BF16 [128, 128]", "expected I8 or F8_E4M3 [128 (GK), 128 (D)]",
                "k_proj.weight_scale"});
}

TEST_F(BrokenFolderTest, QuantisedRouterIsRefused) {
  set_.add("model.layers.7.block_sparse_moe.gate.weight", DType::kI8, {4, 128});
  set_.add("model.layers.7.block_sparse_moe.gate.weight_scale", DType::kF32, {4, 1});
  expect_error({"block_sparse_moe.gate.weight is I8 [4, 128]", "expected F32, BF16 or F16"});
}

TEST_F(BrokenFolderTest, PackedInt4) {
  const std::string base = "model.layers.7.self_attn.k_proj";
  set_.views.erase(base + ".weight");
  set_.add(base + ".weight_packed", DType::kI32, {128, 8});
  expect_error({base + ".weight_packed is I32 [128, 8]", "expected I32 [rows, columns / 8]"});
  set_.add(base + ".weight_packed", DType::kI32, {128, 16});
  expect_error({"tensor " + base + ".weight_scale is missing"});
  set_.add(base + ".weight_scale", DType::kBf16, {128, 8});  // groups of 16
  expect_error({"tensor " + base + ".weight_shape is missing"});
  Tensor& shape = set_.add(base + ".weight_shape", DType::kI64, {2});
  shape.ptr<int64_t>()[0] = 128;
  expect_error({base + ".weight_shape says [128, 0]", "expected [128 (GK), 128 (D)]"});
  shape.ptr<int64_t>()[1] = 128;
  expect_error({base + ".weight_scale is BF16 [128, 8]", "32, 64 or 128]"});
  set_.add(base + ".weight_scale", DType::kBf16, {128, 2});
  set_.save(path_ + "/model.safetensors");
  const Model model = load_model(path_);
  const Weight& k = std::get<SoftmaxAttention>(model.layers[7].attention).k;
  EXPECT_EQ(k.format, QuantFormat::kInt4Group);
  EXPECT_EQ(k.group_size, 64);
}

TEST_F(BrokenFolderTest, OneWeightUnderTwoNames) {
  set_.add("model.layers.2.mlp.gate.weight", DType::kBf16, {4, 128});
  expect_error(
      {"tensors model.layers.2.block_sparse_moe.gate.weight and "
       "model.layers.2.mlp.gate.weight both hold one weight"});
}

TEST_F(BrokenFolderTest, ExpertsOfDifferentTypes) {
  set_.add("model.layers.2.block_sparse_moe.experts.1.w3.weight", DType::kF32, {128, 128});
  expect_error({"layer 2 stores w3 of expert 0 as BF16 and of expert 1 as F32"},
               ErrorKind::kUnsupported);
}

TEST_F(BrokenFolderTest, ZeroVocabularyRowsAreFound) {
  Tensor& table = set_.add("model.embed_tokens.weight", DType::kBf16, {512, 128});
  for (int64_t i = 0; i < 512 * 128; ++i) table.ptr<BFloat16>()[i] = to_bfloat16(1);
  for (const int64_t row : {7, 510, 511})
    for (int64_t i = 0; i < 128; ++i) table.ptr<BFloat16>()[row * 128 + i] = to_bfloat16(-0.0f);
  table.ptr<BFloat16>()[128 + 127] = to_bfloat16(0);
  for (int64_t i = 0; i < 127; ++i) table.ptr<BFloat16>()[2 * 128 + i] = to_bfloat16(0);
  set_.save(path_ + "/model.safetensors");
  EXPECT_EQ(load_model(path_).zero_rows, (std::vector<int32_t>{7, 510, 511}));
}

class TiedFolderTest : public BrokenFolderTest {
 protected:
  TiedFolderTest() : BrokenFolderTest("tiny-hd64") {}
};

TEST_F(TiedFolderTest, RepeatedHeadIsAccepted) {
  set_.views["lm_head.weight"] = set_.views["model.embed_tokens.weight"];
  set_.save(path_ + "/model.safetensors");
  EXPECT_NO_THROW(load_model(path_));
}

TEST_F(TiedFolderTest, DifferentHeadIsAContradiction) {
  set_.add("lm_head.weight", DType::kBf16, {512, 96});
  expect_error(
      {"lm_head.weight differs from model.embed_tokens.weight", "tie_word_embeddings true"});
}

/// Folders whose files and index do not fit.
class ShardedFolderTest : public testing::Test {
 protected:
  ShardedFolderTest() { save_sharded(golden_path("tiny"), path_, 2); }

  Json read_index() const { return Json::parse(JsonDocument::read(index_).root().dump()); }
  void expect_index_error(const Json& index, const std::vector<std::string>& parts,
                          ErrorKind kind = ErrorKind::kBadInput) const {
    write_text_file(index_, index.dump());
    expect_load_error(path_, kind, parts);
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "sharded";
  std::string index_ = path_ + "/model.safetensors.index.json";
  std::string norm_ = "model.norm.weight";
};

TEST_F(ShardedFolderTest, NamesThatLeaveTheFolder) {
  for (const char* name : {"../model.safetensors", "/etc/passwd", "a/b", "..", ".", ""}) {
    Json index = read_index();
    index["weight_map"][norm_] = name;
    expect_index_error(index, {"tensor " + norm_ + " is in file \"" + name + "\"",
                               "expected the plain name of a file in the folder"});
  }
}

TEST_F(ShardedFolderTest, MissingShard) {
  std::filesystem::remove(path_ + "/model-00001-of-00002.safetensors");
  expect_load_error(path_, ErrorKind::kNotFound,
                    {"model-00001-of-00002.safetensors: missing", "tensors in it"});
}

TEST_F(ShardedFolderTest, TensorNotInItsShard) {
  Json index = read_index();
  index["weight_map"]["extra"] = "model-00000-of-00002.safetensors";
  expect_index_error(index, {"model-00000-of-00002.safetensors: tensor extra is missing"});
}

TEST_F(ShardedFolderTest, TensorInAnotherShard) {
  Json index = read_index();
  const bool first = index["weight_map"][norm_] == "model-00000-of-00002.safetensors";
  index["weight_map"][norm_] = fmt::format("model-0000{}-of-00002.safetensors", first ? 1 : 0);
  expect_index_error(index, {"tensor " + norm_ + " is here, but"});
}

TEST_F(ShardedFolderTest, TensorNotInTheIndex) {
  Json index = read_index();
  index["weight_map"].erase(norm_);
  expect_index_error(index, {"tensor " + norm_ + " is not listed in", "index.json"});
}

TEST_F(ShardedFolderTest, BrokenIndexes) {
  expect_index_error(Json::object(), {"weight_map is missing"});
  expect_index_error({{"weight_map", Json::object()}}, {"weight_map is empty"});
  expect_index_error({{"weight_map", {{norm_, 3}}}},
                     {"weight_map: " + norm_ + ": expected a string, found an integer"});
  write_text_file(index_, R"({"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}})");
  expect_load_error(path_, ErrorKind::kBadInput, {"tensor a is listed twice"});
}

TEST_F(ShardedFolderTest, BothForms) {
  TensorSet::of_folder(golden_path("tiny")).save(path_ + "/model.safetensors");
  expect_load_error(path_, ErrorKind::kBadInput,
                    {"both model.safetensors and model.safetensors.index.json are present"});
}

TEST(LoadModelTest, MissingFolderAndFiles) {
  TemporaryFolder folder;
  expect_load_error(folder / "none", ErrorKind::kNotFound, {"no such folder"});
  expect_load_error(folder.string(), ErrorKind::kNotFound, {"config.json: cannot open"});
  start_folder(folder.string(), golden_path("tiny/config.json"));
  expect_load_error(folder.string(), ErrorKind::kNotFound,
                    {"no weights: neither model.safetensors nor model.safetensors.index.json"});
  write_text_file(folder / "model.safetensors", "");
  expect_load_error(folder.string(), ErrorKind::kBadInput,
                    {"model.safetensors: 0 bytes, expected at least the 8"});
}

TEST(LoadModelTest, VisionModelsAreRefused) {
  const std::filesystem::path folder = shared_path("golden/tiny-vl");
  if (!std::filesystem::exists(folder))
    GTEST_SKIP() << folder << " is absent";
  expect_load_error(folder.string(), ErrorKind::kUnsupported, {"vision tower"});
}

// The published checkpoint's names are exactly those of the table.
TEST(WeightTableTest, MatchesThePublishedIndex) {
  const std::string index = shared_path("real/model.safetensors.index.json").string();
  if (!std::filesystem::exists(index))
    GTEST_SKIP() << index << " is absent";
  const ModelConfig config = read_config_file(shared_path("real").string()).model;
  auto map = read_weight_map(index);
  EXPECT_EQ(map.size(), 8243u);
  int64_t parameters = 0;
  for (const WeightSlot& slot : weight_slots(config)) {
    EXPECT_EQ(map.erase(slot.name()), 1u) << slot.name();
    parameters += slot.parameters();
  }
  EXPECT_TRUE(map.empty()) << map.begin()->first;
  EXPECT_EQ(parameters, 456'089'655'296);
}

TEST(LightningSlopesTest, PublishedDecays) {
  // λ of the model specification's table for 64 heads and 80 layers.
  const struct {
    int layer;
    double first, middle, last;
  } rows[] = {{0, 0.39971111, 0.93941248, 0.99610133},
              {1, 0.40437785, 0.94015598, 0.99615059},
              {38, 0.62131153, 0.96808311, 0.99797472},
              {70, 0.90079463, 0.99290442, 0.99955504},
              {78, 0.98845040, 0.99920855, 0.99995052}};
  for (const auto& row : rows) {
    const Tensor slopes = lightning_slopes(64, row.layer, 80);
    EXPECT_NEAR(std::exp(-slopes.ptr<float>()[0]), row.first, 1e-7);
    EXPECT_NEAR(std::exp(-slopes.ptr<float>()[31]), row.middle, 1e-7);
    EXPECT_NEAR(std::exp(-slopes.ptr<float>()[63]), row.last, 1e-7);
  }
}

TEST(LightningSlopesTest, OtherHeadCounts) {
  // 6 heads: the four slopes of 4, then entries 0 and 2 of the slopes of 8.
  const Tensor six = lightning_slopes(6, 0, 1);
  const double expected[] = {1.0 / 4, 1.0 / 16, 1.0 / 64, 1.0 / 256, 1.0 / 2, 1.0 / 8};
  for (int h = 0; h < 6; ++h)
    EXPECT_FLOAT_EQ(six.ptr<float>()[h], static_cast<float>(expected[h] * (1 + 1e-5)));
}

TEST(RandomModelTest, EveryFormatOfOneShape) {
  ModelConfig config = read_config_file(golden_path("tiny")).model;
  for (const char* format : {"bf16", "f32", "int8", "fp8", "int4"}) {
    RandomModelOptions options;
    options.format = format;
    options.group_size = 64;
    Model a = make_random_model(config, options);
    Model b = make_random_model(config, options);
    const Weight& x = a.layers[1].moe.w1[2];
    ASSERT_EQ(x.bytes(), b.layers[1].moe.w1[2].bytes());
    EXPECT_EQ(std::memcmp(x.data.data, b.layers[1].moe.w1[2].data.data,
                          static_cast<size_t>(x.data.bytes())),
              0);
    EXPECT_NE(std::memcmp(x.data.data, a.layers[1].moe.w1[3].data.data,
                          static_cast<size_t>(x.data.bytes())),
              0);
    EXPECT_TRUE(a.zero_rows.empty());
  }
  // Uniform values with the variance 1/K.
  Model model = make_random_model(config, {.format = "f32"});
  const TensorView& view = model.layers[0].moe.w1[0].data;
  double sum = 0;
  double square = 0;
  for (int64_t i = 0; i < view.numel(); ++i) {
    sum += view.ptr<float>()[i];
    square += view.ptr<float>()[i] * view.ptr<float>()[i];
  }
  const double count = static_cast<double>(view.numel());
  EXPECT_NEAR(sum / count, 0, 0.003);
  EXPECT_NEAR(square / count * 128, 1, 0.05);
}

TEST(RandomModelTest, RefusesWhatItCannotMake) {
  ModelConfig config = read_config_file(golden_path("tiny")).model;
  EXPECT_THROW(make_random_model(config, {.format = "int3"}), Error);
  EXPECT_THROW(make_random_model(config, {.format = "int4", .group_size = 48}), Error);
  config.hidden_size = 160;
  EXPECT_THROW(make_random_model(config, {.format = "int4", .group_size = 128}), Error);
  config.vocab_size = kMaxVocabulary;
  config.hidden_size = kMaxHidden;
  try {
    make_random_model(config, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kOutOfMemory);
  }
}

}  // namespace
}  // namespace mm
