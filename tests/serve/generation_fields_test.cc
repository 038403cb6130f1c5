#include "serve/generation_fields.h"

#include <gtest/gtest.h>

#include <cmath>

#include "serve/api_error.h"

namespace mm {
namespace {

ServedModel make_model() {
  ServedModel model;
  model.name = "mini";
  model.vocab_size = 100;
  model.eos_ids = {3};
  model.sampling.temperature = 0.5f;
  model.sampling.top_k = 7;
  return model;
}

GenerationFields read(const std::string& body) {
  static const ServedModel kModel = make_model();
  const JsonDocument document = parse_body(body);
  return read_generation_fields(JsonFields(document.root()), kModel);
}

TEST(GenerationFields, AbsentFieldsHaveTheModelsDefaults) {
  const GenerationFields fields = read("{}");
  EXPECT_EQ(fields.choices, 1);
  EXPECT_FALSE(fields.stream);
  EXPECT_EQ(fields.request.sampling.temperature, 0.5f);
  EXPECT_EQ(fields.request.sampling.top_k, 7);
  EXPECT_EQ(fields.request.max_tokens, -1);
  EXPECT_EQ(fields.request.stop_ids, (std::vector<int32_t>{3}));
}

TEST(GenerationFields, AllAreRead) {
  const GenerationFields fields = read(
      R"({"model": "mini", "n": 2, "stream": true, "stream_options": {"include_usage": true},
          "return_progress": true, "temperature": 0, "top_p": 0.5, "top_k": -1, "min_p": 0.1,
          "seed": -2, "stop": ["a", "b"], "logit_bias": {"5": 1.5, "6": -100},
          "presence_penalty": 1, "frequency_penalty": -1, "repetition_penalty": 1.2,
          "max_tokens": 4, "max_completion_tokens": 5, "ignore_eos": true, "user": "u",
          "of_another_kind": []})");
  EXPECT_EQ(fields.choices, 2);
  EXPECT_TRUE(fields.stream && fields.include_usage && fields.return_progress);
  const SamplingParams& sampling = fields.request.sampling;
  EXPECT_EQ(sampling.temperature, 0);
  EXPECT_EQ(sampling.top_p, 0.5f);
  EXPECT_EQ(sampling.top_k, 0);
  EXPECT_EQ(sampling.min_p, 0.1f);
  EXPECT_EQ(sampling.seed, static_cast<uint64_t>(-2));
  EXPECT_EQ(sampling.presence_penalty, 1);
  EXPECT_EQ(sampling.frequency_penalty, -1);
  EXPECT_EQ(sampling.repetition_penalty, 1.2f);
  ASSERT_EQ(sampling.logit_bias.size(), 2u);
  EXPECT_EQ(sampling.logit_bias[0], (std::pair<int32_t, float>{5, 1.5f}));
  EXPECT_EQ(sampling.logit_bias[1], (std::pair<int32_t, float>{6, -INFINITY}));
  EXPECT_EQ(fields.request.stops, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(fields.request.max_tokens, 5);
  EXPECT_TRUE(fields.request.ignore_eos);
  EXPECT_NO_THROW(validate(sampling, 100));
}

TEST(GenerationFields, ATopPOfZeroIsTheLikeliestAlone) {
  EXPECT_NO_THROW(validate(read(R"({"top_p": 0})").request.sampling, 100));
}

TEST(GenerationFields, WhatIsWrongIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"temperature": -1})", "temperature"},
      {R"({"temperature": "hot"})", "temperature"},
      {R"({"top_p": 1.1})", "top_p"},
      {R"({"n": 0})", "n"},
      {R"({"n": 1.5})", "n"},
      {R"({"max_tokens": 0})", "max_tokens"},
      {R"({"max_completion_tokens": "x"})", "max_completion_tokens"},
      {R"({"stream": 1})", "stream"},
      {R"({"stream_options": {"include_usage": true}})", "stream_options"},
      {R"({"stream": true, "stream_options": {"include_usage": 1}})",
       "stream_options.include_usage"},
      {R"({"stop": 1})", "stop"},
      {R"({"stop": [""]})", "stop"},
      {R"({"stop": ["a", "b", "c", "d", "e"]})", "stop"},
      {R"({"logit_bias": []})", "logit_bias"},
      {R"({"logit_bias": {"x": 1}})", "logit_bias"},
      {R"({"logit_bias": {"100": 1}})", "logit_bias"},
      {R"({"logit_bias": {"1": 101}})", "logit_bias.1"},
      {R"({"logit_bias": {"1": "5"}})", "logit_bias.1"},
      {R"({"seed": "a"})", "seed"},
      {R"({"presence_penalty": 3})", "presence_penalty"},
      {R"({"model": 1})", "model"},
  };
  for (const auto& [body, field] : cases) {
    try {
      read(body);
      ADD_FAILURE() << body;
    } catch (const ApiError& error) {
      EXPECT_EQ(error.param, field) << body;
      EXPECT_EQ(error.status, 400) << body;
    }
  }
}

TEST(GenerationFields, AnotherModelIsNotFound) {
  try {
    read(R"({"model": "gpt"})");
    ADD_FAILURE();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 404);
    EXPECT_EQ(error.code, "model_not_found");
  }
}

}  // namespace
}  // namespace mm
