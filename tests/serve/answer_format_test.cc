#include "serve/answer_format.h"

#include <gtest/gtest.h>

#include <limits>

#include "serve/api_error.h"

namespace mm {

namespace {

using Kind = AnswerFormat::Kind;
using Reader = AnswerFormat (*)(const JsonFields&);

AnswerFormat read(const std::string& body, Reader reader = read_answer_format) {
  const JsonDocument document = parse_body(body);
  return reader(JsonFields(document.root()));
}

/// The field that the 400 names.
std::string refused(const std::string& body, Reader reader = read_answer_format) {
  try {
    read(body, reader);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    EXPECT_FALSE(error.message.empty());
    return error.param;
  }
  return "nothing";
}

}  // namespace

TEST(AnswerFormat, WithoutOneAnythingIsAnAnswer) {
  for (const char* body : {"{}", R"({"response_format": null, "grammar": null})",
                           R"({"response_format": {"type": "text"}, "grammar": ""})"}) {
    EXPECT_EQ(read(body).kind, Kind::kAny) << body;
  }
  for (const char* body : {"{}", R"({"text": {}})", R"({"text": {"verbosity": "low"}})",
                           R"({"text": {"format": {"type": "text"}}})"}) {
    EXPECT_EQ(read(body, read_text_format).kind, Kind::kAny) << body;
  }
}

TEST(AnswerFormat, ReadsEachKind) {
  EXPECT_EQ(read(R"({"response_format": {"type": "json_object"}})").kind, Kind::kJsonObject);
  const AnswerFormat schema = read(
      R"({"response_format": {"type": "json_schema", "json_schema": {
            "name": "dog", "strict": true, "schema": {"required": ["b"], "type": "object"}}}})");
  EXPECT_EQ(schema.kind, Kind::kJsonSchema);
  EXPECT_EQ(schema.text, R"({"required":["b"],"type":"object"})");  // keys in their order
  EXPECT_EQ(schema.param, "response_format");
  EXPECT_EQ(schema.title, "response_format.json_schema.schema ('dog')");
  const AnswerFormat other =
      read(R"({"response_format": {"type": "json_object", "schema": {"type": "object"}}})");
  EXPECT_EQ(other.kind, Kind::kJsonSchema);
  EXPECT_EQ(other.text, R"({"type":"object"})");
  const AnswerFormat grammar = read(R"({"grammar": "root ::= \"a\""})");
  EXPECT_EQ(grammar.kind, Kind::kGrammar);
  EXPECT_EQ(grammar.text, "root ::= \"a\"");
  EXPECT_EQ(grammar.param, "grammar");
}

TEST(AnswerFormat, ResponsesHoldTheSchemaBesideTheType) {
  const AnswerFormat schema = read(
      R"({"text": {"format": {"type": "json_schema", "name": "dog", "schema": {"type": "null"}}}})",
      read_text_format);
  EXPECT_EQ(schema.kind, Kind::kJsonSchema);
  EXPECT_EQ(schema.text, R"({"type":"null"})");
  EXPECT_EQ(schema.param, "text.format.schema");
  EXPECT_EQ(read(R"({"text": {"format": {"type": "json_object"}}})", read_text_format).kind,
            Kind::kJsonObject);
  EXPECT_EQ(read(R"({"grammar": "g"})", read_text_format).kind, Kind::kGrammar);
}

TEST(AnswerFormat, WrongFieldsAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"response_format": "json"})", "response_format"},
      {R"({"response_format": {}})", "response_format.type"},
      {R"({"response_format": {"type": 1}})", "response_format.type"},
      {R"({"response_format": {"type": "yaml"}})", "response_format.type"},
      {R"({"response_format": {"type": "json_schema"}})", "response_format.json_schema"},
      {R"({"response_format": {"type": "json_schema", "json_schema": []}})",
       "response_format.json_schema"},
      {R"({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}})",
       "response_format.json_schema.schema"},
      {R"({"response_format": {"type": "json_schema", "json_schema": {"schema": "a"}}})",
       "response_format.json_schema.schema"},
      {R"({"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "name": 1}}})",
       "response_format.json_schema.name"},
      {R"({"response_format": {"type": "json_schema", "json_schema": {"schema": {},
           "strict": 1}}})",
       "response_format.json_schema.strict"},
      {R"({"grammar": 1})", "grammar"},
      {R"({"grammar": "a", "response_format": {"type": "json_object"}})", "grammar"},
  };
  for (const auto& [body, field] : cases) {
    EXPECT_EQ(refused(body), field) << body;
  }
  EXPECT_EQ(refused(R"({"text": 1})", read_text_format), "text");
  EXPECT_EQ(refused(R"({"text": {"format": {"type": "x"}}})", read_text_format),
            "text.format.type");
  EXPECT_EQ(refused(R"({"text": {"format": {"type": "json_schema"}}})", read_text_format),
            "text.format.schema");
}

TEST(AnswerFormat, TextsHaveALimit) {
  const auto with_grammar = [](size_t bytes) {
    return "{\"grammar\": \"" + std::string(bytes, 'a') + "\"}";
  };
  EXPECT_EQ(refused(with_grammar(256 << 10)), "nothing");
  EXPECT_EQ(refused(with_grammar((256 << 10) + 1)), "grammar");
}

TEST(AnswerFormat, ToolsAreRefusedBesideAFormat) {
  GenerationRequest request;
  EXPECT_NO_THROW(prepare_for_format({}, true, request));
  const AnswerFormat format = read(R"({"response_format": {"type": "json_object"}})");
  EXPECT_NO_THROW(prepare_for_format(format, false, request));
  try {
    prepare_for_format(format, true, request);
    ADD_FAILURE();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    EXPECT_EQ(error.param, "response_format");
  }
}

TEST(AnswerFormat, BansBecomeBiasesBesideAFormat) {
  constexpr float kBan = -std::numeric_limits<float>::infinity();
  GenerationRequest request;
  request.sampling.logit_bias = {{1, kBan}, {2, 5.0F}};
  prepare_for_format({}, false, request);
  EXPECT_EQ(request.sampling.logit_bias[0].second, kBan);
  prepare_for_format(read(R"({"grammar": "a"})"), false, request);
  EXPECT_EQ(request.sampling.logit_bias[0].second, -100);
  EXPECT_EQ(request.sampling.logit_bias[1].second, 5);
}

}  // namespace mm
