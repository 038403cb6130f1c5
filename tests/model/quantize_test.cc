#include "model/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "model/weight_table.h"
#include "model/weights.h"
#include "ops/reference/access.h"
#include "tests/model/resave.h"
#include "tests/model/shared_files.h"

namespace mm {
namespace {

using testing::HasSubstr;

class QuantizeTest : public testing::Test {
 protected:
  QuantizeReport quantise(const std::string& from, const std::string& to,
                          const QuantizeOptions& options) {
    return quantize_checkpoint(from, to, options, pool_);
  }
  void expect_error(const std::string& from, const std::string& to, const QuantizeOptions& options,
                    ErrorKind kind, const std::string& part) {
    try {
      quantise(from, to, options);
      FAIL() << "expected an error with " << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), kind) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }

  ThreadPool pool_{2};
  TemporaryFolder folder_;
  std::string tiny_ = golden_path("tiny");
};

/// The largest error of any element of a class, and its relative root mean square, from the two
/// models alone.
std::pair<double, double> measure(Model& exact, Model& coded, WeightClass kind) {
  double largest = 0;
  double square = 0;
  double reference = 0;
  for (const WeightSlot& slot : weight_slots(exact.config)) {
    if (slot.row->kind != kind)
      continue;
    for (int64_t n = 0; n < slot.rows; ++n) {
      const std::vector<double> a = reference::decode_row(slot.matrix(exact), n);
      const std::vector<double> b = reference::decode_row(slot.matrix(coded), n);
      for (size_t k = 0; k < a.size(); ++k) {
        largest = std::max(largest, std::abs(a[k] - b[k]));
        square += (a[k] - b[k]) * (a[k] - b[k]);
        reference += a[k] * a[k];
      }
    }
  }
  return {largest, std::sqrt(square / reference)};
}

const QuantizeClass& find_class(const QuantizeReport& report, const std::string& name) {
  for (const QuantizeClass& entry : report.classes) {
    if (entry.name == name)
      return entry;
  }
  throw std::runtime_error("no class " + name);
}

TEST_F(QuantizeTest, Int8ReadsBackWithinHalfAStep) {
  const QuantizeReport report = quantise(tiny_, folder_ / "int8", {});
  Model exact = load_model(tiny_);
  Model coded = load_model(folder_ / "int8");
  EXPECT_EQ(coded.quantization.method, "compressed-tensors");
  EXPECT_EQ(coded.quantization.bits, 8);
  for (const WeightSlot& slot : weight_slots(exact.config)) {
    if (slot.is_vector() || !slot.row->quantisable)
      continue;
    const Weight& weight = slot.matrix(coded);
    if (slot.row->kind == WeightClass::kEmbedding || slot.row->kind == WeightClass::kHead) {
      EXPECT_EQ(weight.format, QuantFormat::kNone);
      continue;
    }
    ASSERT_EQ(weight.format, QuantFormat::kInt8Channel) << slot.name();
    for (int64_t n = 0; n < slot.rows; ++n) {
      const std::vector<double> a = reference::decode_row(slot.matrix(exact), n);
      const std::vector<double> b = reference::decode_row(weight, n);
      for (size_t k = 0; k < a.size(); ++k)
        ASSERT_LE(std::abs(a[k] - b[k]), 0.50001 * weight.scales.ptr<float>()[n]) << slot.name();
    }
  }
  // The report says what the files say.
  const auto [largest, rms] = measure(exact, coded, WeightClass::kExperts);
  const QuantizeClass& experts = find_class(report, "experts");
  EXPECT_EQ(experts.format, "int8");
  EXPECT_EQ(experts.tensors, 8 * 4 * 3);
  EXPECT_EQ(experts.bytes_before, 8 * 4 * 3 * 128 * 128 * 2);
  EXPECT_EQ(experts.bytes_after, 8 * 4 * 3 * (128 * 128 + 128 * 4));
  EXPECT_DOUBLE_EQ(experts.max_error, largest);
  EXPECT_NEAR(experts.relative_rms, rms, 1e-12);
  EXPECT_LT(rms, 0.01);
  EXPECT_EQ(find_class(report, "routers").format, "BF16");
  EXPECT_EQ(find_class(report, "routers").relative_rms, 0);
  EXPECT_TRUE(report.kept.empty());
}

// Three bits of mantissa: within 2⁻⁴ of a number, or half the least code, 2⁻¹⁰ scales.
TEST_F(QuantizeTest, Fp8ReadsBackWithinHalfAStep) {
  const QuantizeReport report = quantise(tiny_, folder_ / "fp8", {.format = "fp8"});
  Model exact = load_model(tiny_);
  Model coded = load_model(folder_ / "fp8");
  EXPECT_EQ(coded.quantization.method, "compressed-tensors");
  EXPECT_EQ(coded.quantization.bits, 8);
  for (const WeightSlot& slot : weight_slots(exact.config)) {
    if (slot.row->kind != WeightClass::kExperts && slot.row->kind != WeightClass::kAttention)
      continue;
    const Weight& weight = slot.matrix(coded);
    ASSERT_EQ(weight.format, QuantFormat::kFp8Channel) << slot.name();
    for (int64_t n = 0; n < slot.rows; ++n) {
      const std::vector<double> a = reference::decode_row(slot.matrix(exact), n);
      const std::vector<double> b = reference::decode_row(weight, n);
      const double scale = weight.scales.ptr<float>()[n];
      for (size_t k = 0; k < a.size(); ++k)
        ASSERT_LE(std::abs(a[k] - b[k]),
                  1.00001 * std::max(0x1p-4 * std::abs(a[k]), 0x1p-10 * scale))
            << slot.name();
    }
  }
  const auto [largest, rms] = measure(exact, coded, WeightClass::kExperts);
  const QuantizeClass& experts = find_class(report, "experts");
  EXPECT_EQ(experts.format, "fp8");
  EXPECT_EQ(experts.bytes_after, 8 * 4 * 3 * (128 * 128 + 128 * 4));
  EXPECT_DOUBLE_EQ(experts.max_error, largest);
  EXPECT_NEAR(experts.relative_rms, rms, 1e-12);
  EXPECT_LT(rms, 0.04);  // a uniform error of 2⁻⁴ at most has 2⁻⁴ / √3
}

TEST_F(QuantizeTest, Int4OfEveryGroupSize) {
  double previous = 0;
  for (const int group : {32, 64, 128}) {
    const std::string to = folder_ / std::to_string(group);
    const QuantizeReport report = quantise(tiny_, to, {.format = "int4", .group_size = group});
    Model exact = load_model(tiny_);
    Model coded = load_model(to);
    EXPECT_EQ(coded.quantization.group_size, group);
    EXPECT_EQ(coded.layers[0].moe.w1[0].group_size, group);
    const auto [largest, rms] = measure(exact, coded, WeightClass::kAttention);
    EXPECT_DOUBLE_EQ(find_class(report, "attention").max_error, largest);
    EXPECT_GT(rms, previous);  // larger groups fit worse
    EXPECT_LT(rms, 0.12);
    previous = rms;
  }
}

TEST_F(QuantizeTest, EmbeddingsAsInt8InAllFormats) {
  for (const char* format : {"int8", "fp8", "int4"}) {
    const std::string to = folder_ / format;
    const QuantizeReport report =
        quantise(tiny_, to, {.format = format, .group_size = 64, .quantize_embeddings = true});
    const Model coded = load_model(to);
    EXPECT_EQ(coded.embedding.format, QuantFormat::kInt8Channel);
    EXPECT_EQ(coded.head.format, QuantFormat::kInt8Channel);
    EXPECT_STREQ(to_string(coded.layers[0].moe.w2[0].format), format);
    EXPECT_EQ(find_class(report, "embedding").format, "int8");
  }
  quantise(golden_path("tiny-hd64"), folder_ / "tied", {.quantize_embeddings = true});
  const Model tied = load_model(folder_ / "tied");
  EXPECT_EQ(tied.head.data.data, tied.embedding.data.data);
  EXPECT_EQ(tied.head.scales.data, tied.embedding.scales.data);
}

TEST_F(QuantizeTest, ColumnsThatDoNotDivideStayFloat) {
  // 96 hidden channels are no multiple of 64, 64 and 256 are.
  const QuantizeReport report =
      quantise(golden_path("tiny-hd64"), folder_ / "q", {.format = "int4", .group_size = 64});
  EXPECT_THAT(report.kept, testing::Contains("model.layers.1.self_attn.q_proj.weight"));
  const Model coded = load_model(folder_ / "q");
  EXPECT_EQ(coded.layers[0].moe.w1[0].format, QuantFormat::kNone);
  EXPECT_EQ(coded.layers[0].moe.w2[0].format, QuantFormat::kInt4Group);
  const JsonDocument config = JsonDocument::read(folder_ / "q/config.json");
  EXPECT_THAT(config.root().find("quantization_config")->find("ignore")->dump(),
              HasSubstr("\"model.layers.1.self_attn.q_proj\""));
}

TEST_F(QuantizeTest, KeepsNormsRoutersAndOtherKeysAsStored) {
  save_mixed(tiny_, folder_ / "mixed");
  write_text_file(folder_ / "mixed/tokenizer.json", "{\"x\": 1}");
  write_text_file(folder_ / "mixed/notes.txt", "not part of a model");
  quantise(folder_ / "mixed", folder_ / "q", {});
  const SafetensorsFile file(folder_ / "q/model.safetensors");
  EXPECT_EQ(file.get("model.norm.weight").view.dtype, DType::kBf16);
  EXPECT_EQ(file.get("model.layers.0.block_sparse_moe.gate.weight").view.dtype, DType::kF32);
  EXPECT_EQ(MappedFile(folder_ / "q/tokenizer.json").text(), "{\"x\": 1}");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "q/notes.txt"));
  Json before = Json::parse(MappedFile(folder_ / "mixed/config.json").text());
  Json after = Json::parse(MappedFile(folder_ / "q/config.json").text());
  EXPECT_EQ(after["quantization_config"]["format"], "int-quantized");
  after.erase("quantization_config");
  EXPECT_EQ(before, after);
}

TEST_F(QuantizeTest, ShardsAndPackedExpertsAndThreadsGiveTheSameBytes) {
  save_packed_5x(tiny_, folder_ / "packed");
  quantise(tiny_, folder_ / "a", {});
  quantise(folder_ / "packed", folder_ / "b", {});
  ThreadPool one(1);
  quantize_checkpoint(tiny_, folder_ / "c", {}, one);
  const std::string name = "/model.safetensors";
  EXPECT_EQ(MappedFile(folder_ / "a" + name).text(), MappedFile(folder_ / "b" + name).text());
  EXPECT_EQ(MappedFile(folder_ / "a" + name).text(), MappedFile(folder_ / "c" + name).text());

  QuantizeOptions sharded;
  sharded.shard_bytes = 500'000;
  quantise(tiny_, folder_ / "d", sharded);
  EXPECT_TRUE(std::filesystem::exists(folder_ / "d/model.safetensors.index.json"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "d" + name));
  TensorSet whole = TensorSet::of_folder(folder_ / "a");
  TensorSet parts = TensorSet::of_folder(folder_ / "d");
  ASSERT_EQ(whole.views.size(), parts.views.size());
  for (const auto& [tensor, view] : whole.views)
    EXPECT_EQ(
        std::memcmp(view.data, parts.views.at(tensor).data, static_cast<size_t>(view.bytes())), 0)
        << tensor;
}

TEST_F(QuantizeTest, ReportsProgress) {
  int64_t last = 0;
  int64_t all = 0;
  QuantizeOptions options;
  options.progress = [&](int64_t done, int64_t total) {
    EXPECT_GT(done, last);
    last = done;
    all = total;
  };
  const QuantizeReport report = quantise(tiny_, folder_ / "q", options);
  EXPECT_EQ(last, all);
  EXPECT_EQ(all, report.bytes_before);
}

TEST_F(QuantizeTest, Refusals) {
  expect_error(tiny_, folder_ / "q", {.format = "fp4"}, ErrorKind::kBadInput,
               "format fp4, expected int8, fp8 or int4");
  expect_error(tiny_, folder_ / "q", {.format = "int4", .group_size = 16}, ErrorKind::kBadInput,
               "group size 16, expected 32, 64 or 128");
  save_mixed(tiny_, folder_ / "in");
  expect_error(folder_ / "in", folder_ / "in", {}, ErrorKind::kBadInput,
               "the output folder is the input folder");
  expect_error(folder_ / "in", folder_ / "in/../in/below/", {}, ErrorKind::kBadInput,
               "the output folder is the input folder");
  std::filesystem::create_directory(folder_ / "full");
  write_text_file(folder_ / "full/a", "x");
  expect_error(tiny_, folder_ / "full", {}, ErrorKind::kBadInput, "full: not empty");
  expect_error(tiny_, folder_ / "full/a", {}, ErrorKind::kBadInput, "a: a file");
  expect_error(folder_ / "none", folder_ / "q", {}, ErrorKind::kNotFound, "none: no such folder");
  quantise(tiny_, folder_ / "q", {});
  expect_error(folder_ / "q", folder_ / "q2", {}, ErrorKind::kUnsupported,
               "is already quantised (int8)");
  std::filesystem::create_directory(folder_ / "empty");
  EXPECT_NO_THROW(quantise(tiny_, folder_ / "empty/", {}));
  EXPECT_NO_THROW(load_model(folder_ / "empty"));
}

TEST_F(QuantizeTest, InfiniteWeightsAreRefusedAndNothingIsLeft) {
  TensorSet set = TensorSet::of_folder(tiny_);
  Tensor& bad = set.add("model.layers.7.self_attn.k_proj.weight", DType::kF32, {128, 128});
  for (const float value :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    bad.ptr<float>()[5 * 128 + 3] = value;
    start_folder(folder_ / "bad", tiny_ + "/config.json");
    set.save(folder_ / "bad/model.safetensors");
    expect_error(folder_ / "bad", folder_ / "q", {}, ErrorKind::kBadInput,
                 "k_proj.weight: row 5 holds an infinite or undefined weight");
  }
  size_t left = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.string()))
    left += entry.path().filename() != "bad";
  EXPECT_EQ(left, 0u);
}

TEST_F(QuantizeTest, ZeroVocabularyRowsStayZero) {
  TensorSet set = TensorSet::of_folder(tiny_);
  Tensor& table = set.add("model.embed_tokens.weight", DType::kF32, {512, 128});
  for (int64_t i = 0; i < 500 * 128; ++i) table.ptr<float>()[i] = static_cast<float>(i % 7 + 1);
  start_folder(folder_ / "in", tiny_ + "/config.json");
  set.save(folder_ / "in/model.safetensors");
  quantise(folder_ / "in", folder_ / "q", {.quantize_embeddings = true});
  EXPECT_EQ(load_model(folder_ / "q").zero_rows.size(), 12u);
}

// The bundled weights are what our own quantiser makes of the bf16 folder.
TEST_F(QuantizeTest, BundledModelIsReproduced) {
  const std::filesystem::path source = shared_path("models/mini");
  if (!std::filesystem::exists(source))
    GTEST_SKIP() << source << " is absent";
  quantise(source.string(), folder_ / "mini", {.quantize_embeddings = true});
  const std::string bundled = MM_SOURCE_DIR "/models/mini";
  EXPECT_EQ(MappedFile(folder_ / "mini/config.json").text(),
            MappedFile(bundled + "/config.json").text());
  const SafetensorsFile made(folder_ / "mini/model.safetensors");
  const SafetensorsFile kept(bundled + "/model.safetensors");
  EXPECT_EQ(made.metadata(), kept.metadata());
  ASSERT_EQ(made.tensors().size(), kept.tensors().size());
  for (const StoredTensor& tensor : kept.tensors()) {
    const TensorView& got = made.get(tensor.name).view;
    ASSERT_EQ(to_string(got), to_string(tensor.view)) << tensor.name;
    // Not EXPECT_EQ, which would print megabytes.
    EXPECT_EQ(std::memcmp(got.data, tensor.view.data, static_cast<size_t>(got.bytes())), 0)
        << tensor.name;
  }
}

}  // namespace
}  // namespace mm
