#include "serve/anthropic_request.h"

#include <gtest/gtest.h>

#include "tests/serve/request_fixture.h"

namespace mm {

namespace {

using AnthropicRequestTest = testing::RequestTest<AnthropicRequest, read_anthropic_request>;

}  // namespace

TEST_F(AnthropicRequestTest, ReadsTextsAndTheSystem) {
  EXPECT_EQ(prompt(R"({"max_tokens": 5, "system": [{"type": "text", "text": "Be kind.",
                       "cache_control": {"type": "ephemeral"}}], "messages": [
                       {"role": "user", "content": [{"type": "text", "text": "a"},
                                                    {"type": "text", "text": "b"}]},
                       {"role": "assistant", "content": "c"}]})"),
            "<system >Be kind.\n<user >ab\n<assistant >c\n");
}

TEST_F(AnthropicRequestTest, ReadsCallsAndResults) {
  EXPECT_EQ(prompt(R"({"max_tokens": 5, "messages": [
                       {"role": "user", "content": "Hi"},
                       {"role": "assistant", "content": [
                         {"type": "thinking", "thinking": "Hm", "signature": ""},
                         {"type": "text", "text": "Look."},
                         {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}]},
                       {"role": "user", "content": [
                         {"type": "tool_result", "tool_use_id": "t", "is_error": true,
                          "content": [{"type": "text", "text": "no"}]},
                         {"type": "text", "text": "And?"}]}],
                       "tools": [{"name": "f", "description": "F.",
                                  "input_schema": {"type": "object"}}]})"),
            "<user >Hi\n<assistant >Look.\n<tool_calls>\n"
            "{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_calls>\n"
            "<tool f>Error: no\n<user >And?\n"
            "{\"name\": \"f\", \"description\": \"F.\", \"parameters\": {\"type\": \"object\"}}");
}

TEST_F(AnthropicRequestTest, ReadsHowToGenerate) {
  const AnthropicRequest request = read(
      R"({"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}], "stream": true,
          "stop_sequences": ["x"], "temperature": 0.5, "tools": [{"name": "f", "input_schema": {}}],
          "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}})");
  const GenerationRequest& generation = request.job.requests.at(0);
  EXPECT_EQ(generation.max_tokens, 5);
  EXPECT_EQ(generation.stops, std::vector<std::string>{"x"});
  EXPECT_EQ(generation.sampling.temperature, 0.5f);
  EXPECT_TRUE(request.stream && request.parser.tools);
  EXPECT_EQ(request.parser.most_calls, 1U);
}

TEST_F(AnthropicRequestTest, WrongFieldsAreNamed) {
  const std::string hi = R"("messages": [{"role": "user", "content": "Hi"}])";
  EXPECT_EQ(refused("{" + hi + "}"), "max_tokens");
  EXPECT_EQ(refused(R"({"max_tokens": 5})"), "messages");
  EXPECT_EQ(refused(R"({"max_tokens": 5, "messages": [{"role": "system", "content": "x"}]})"),
            "messages[0].role");
  EXPECT_EQ(refused(R"({"max_tokens": 5, "messages": [{"role": "user", "content": [
                        {"type": "image"}]}]})"),
            "messages[0].content[0].type");
  EXPECT_EQ(refused(R"({"max_tokens": 5, "messages": [{"role": "user", "content": [
                        {"type": "tool_result", "tool_use_id": "t"}]}]})"),
            "messages[0].content[0].tool_use_id");
  EXPECT_EQ(refused("{\"max_tokens\": 5, \"tools\": [{\"name\": \"f\"}], " + hi + "}"),
            "tools[0].input_schema");
  EXPECT_EQ(refused("{\"max_tokens\": 5, \"tool_choice\": {\"type\": \"any\"}, " + hi + "}"),
            "tool_choice");
  EXPECT_EQ(refused("{\"max_tokens\": 5, \"tool_choice\": {\"type\": \"all\"}, " + hi + "}"),
            "tool_choice.type");
  EXPECT_EQ(refused("{\"max_tokens\": 5, \"tool_choice\": {\"type\": \"tool\"}, " + hi + "}"),
            "tool_choice.name");
  EXPECT_EQ(refused("{\"max_tokens\": 5, \"stop_sequences\": [\"\"], " + hi + "}"),
            "stop_sequences");
}

TEST_F(AnthropicRequestTest, ToolChoiceMayDemandCalls) {
  const std::string body = R"({"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}],
                               "tools": [{"name": "f", "input_schema": {"type": "object"}}],
                               "tool_choice": )";
  const AnthropicRequest any = read(body + R"({"type": "any"}})");
  EXPECT_EQ(any.job.format.kind, AnswerFormat::Kind::kCalls);
  EXPECT_NE(any.job.format.text.find("\"one\":false"), std::string::npos);
  EXPECT_EQ(any.parser.begun, "<tool_calls>\n");
  for (const char* choice : {R"({"type": "any", "disable_parallel_tool_use": true}})",
                             R"({"type": "tool", "name": "f"}})"}) {
    EXPECT_NE(read(body + choice).job.format.text.find("\"one\":true"), std::string::npos);
  }
  EXPECT_EQ(refused(body + R"({"type": "tool", "name": "g"}})"), "tool_choice");
  // Tokens are counted with the opening of the calls.
  const JsonDocument document = parse_body(body + R"({"type": "any"}})");
  EXPECT_EQ(read_anthropic_prompt(JsonFields(document.root()), model),
            any.job.requests.at(0).prompt);
}

}  // namespace mm
