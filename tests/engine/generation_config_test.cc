#include "engine/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace mm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(const std::string& text) {
  try {
    parse_generation_config(text, "generation_config.json");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(GenerationConfig, ReadsSamplingAndEnds) {
  const GenerationConfig config = parse_generation_config(
      R"({"do_sample": true, "temperature": 0.7, "top_p": 0.95, "top_k": 40, "min_p": 0.1,
          "repetition_penalty": 1.1, "eos_token_id": [2, 7], "transformers_version": "5"})",
      "g");
  EXPECT_FLOAT_EQ(config.sampling.temperature, 0.7f);
  EXPECT_FLOAT_EQ(config.sampling.top_p, 0.95f);
  EXPECT_EQ(config.sampling.top_k, 40);
  EXPECT_FLOAT_EQ(config.sampling.min_p, 0.1f);
  EXPECT_FLOAT_EQ(config.sampling.repetition_penalty, 1.1f);
  EXPECT_THAT(config.eos_ids, ElementsAre(2, 7));
}

TEST(GenerationConfig, WithoutSamplingItIsGreedy) {
  EXPECT_EQ(parse_generation_config("{}", "g").sampling.temperature, 0);
  const GenerationConfig off =
      parse_generation_config(R"({"do_sample": false, "temperature": 0.7, "top_k": 5})", "g");
  EXPECT_EQ(off.sampling.temperature, 0);
  EXPECT_EQ(off.sampling.top_k, 0);
}

TEST(GenerationConfig, SamplingWithoutATemperatureMeansOne) {
  EXPECT_EQ(parse_generation_config(R"({"do_sample": true})", "g").sampling.temperature, 1);
  EXPECT_EQ(parse_generation_config(R"({"top_p": 0.5})", "g").sampling.temperature, 1);
  EXPECT_EQ(parse_generation_config(R"({"temperature": 0.9})", "g").sampling.top_k, 0);
}

TEST(GenerationConfig, NullCountsAsAbsentAndMinusOneTopKAsOff) {
  const GenerationConfig config = parse_generation_config(
      R"({"do_sample": true, "temperature": null, "top_k": -1, "eos_token_id": null})", "g");
  EXPECT_EQ(config.sampling.temperature, 1);
  EXPECT_EQ(config.sampling.top_k, 0);
  EXPECT_TRUE(config.eos_ids.empty());
}

TEST(GenerationConfig, ErrorsNameFileAndKey) {
  EXPECT_THAT(error_of("[1]"), HasSubstr("generation_config.json"));
  EXPECT_THAT(error_of("{"), HasSubstr("generation_config.json"));
  EXPECT_THAT(error_of(R"({"eos_token_id": "x"})"), HasSubstr("eos_token_id"));
  EXPECT_THAT(error_of(R"({"eos_token_id": [-3]})"), HasSubstr("-3"));
  EXPECT_THAT(error_of(R"({"do_sample": 1})"), HasSubstr("do_sample"));
  EXPECT_THAT(error_of(R"({"temperature": "hot"})"), HasSubstr("temperature"));
  EXPECT_THAT(error_of(R"({"temperature": -2})"), HasSubstr("generation_config.json"));
  EXPECT_THAT(error_of(R"({"top_p": 7})"), HasSubstr("top_p is 7"));
  EXPECT_THAT(error_of(R"({"top_p": 0.5, "top_k": -7})"), HasSubstr("top_k"));
}

TEST(GenerationConfig, AFolderWithoutTheFileIsGreedy) {
  const GenerationConfig config = read_generation_config("/nonexistent");
  EXPECT_EQ(config.sampling.temperature, 0);
  EXPECT_TRUE(config.eos_ids.empty());
}

TEST(MergeEosIds, JoinsBothAndFallsBackToTheTokenizer) {
  EXPECT_THAT(merge_eos_ids({5, 2}, {2, 9}, 1), ElementsAre(2, 5, 9));
  EXPECT_THAT(merge_eos_ids({}, {}, 1), ElementsAre(1));
  EXPECT_THAT(merge_eos_ids({}, {}, -1), ElementsAre());
}

}  // namespace
}  // namespace mm
