#include "serve/responses_request.h"

#include <gtest/gtest.h>

#include "tests/serve/request_fixture.h"

namespace mm {

namespace {

using ResponsesRequestTest = testing::RequestTest<ResponsesRequest, read_responses_request>;

}  // namespace

TEST_F(ResponsesRequestTest, ReadsTextsAndInstructions) {
  EXPECT_EQ(prompt(R"({"input": "Hi", "instructions": "Be kind."})"),
            "<system >Be kind.\n<user >Hi\n");
  EXPECT_EQ(prompt(R"({"input": [
                       {"role": "developer", "content": "d"},
                       {"role": "user", "content": [{"type": "input_text", "text": "a"},
                                                    {"type": "input_text", "text": "b"}]},
                       {"type": "message", "role": "assistant", "status": "completed",
                        "content": [{"type": "output_text", "text": "c", "annotations": []}]}]})"),
            "<system >d\n<user >ab\n<assistant >c\n");
}

TEST_F(ResponsesRequestTest, CallsOfOneAnswerStandTogether) {
  EXPECT_EQ(prompt(R"({"input": [
                       {"role": "user", "content": "Hi"},
                       {"type": "reasoning", "id": "r", "summary": []},
                       {"role": "assistant", "content": "Look."},
                       {"type": "function_call", "call_id": "1", "name": "f",
                        "arguments": "{\"a\": 1}"},
                       {"type": "function_call", "call_id": "2", "name": "g", "arguments": ""},
                       {"type": "function_call_output", "call_id": "2", "output": "two"},
                       {"type": "function_call_output", "call_id": "1",
                        "output": [{"type": "input_text", "text": "one"}]},
                       {"type": "function_call", "call_id": "3", "name": "f",
                        "arguments": "{}"}],
                       "tools": [{"type": "function", "name": "f", "strict": true,
                                  "parameters": {"type": "object"}}]})"),
            "<user >Hi\n<assistant >Look.\n<tool_calls>\n"
            "{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n"
            "{\"name\": \"g\", \"arguments\": {}}\n</tool_calls>\n"
            "<tool g>two\n<tool f>one\n"
            "<assistant ><tool_calls>\n{\"name\": \"f\", \"arguments\": {}}\n</tool_calls>\n"
            "{\"name\": \"f\", \"parameters\": {\"type\": \"object\"}}");
}

TEST_F(ResponsesRequestTest, ReadsHowToGenerate) {
  const ResponsesRequest request =
      read(R"({"input": "Hi", "max_output_tokens": 5, "temperature": 0.5, "stream": true,
               "metadata": {"k": "v"}, "parallel_tool_calls": false,
               "tools": [{"type": "function", "name": "f"}]})");
  const GenerationRequest& generation = request.job.requests.at(0);
  EXPECT_EQ(generation.max_tokens, 5);
  EXPECT_EQ(generation.sampling.temperature, 0.5f);
  EXPECT_TRUE(request.answer.stream && request.answer.parser.tools);
  EXPECT_EQ(request.answer.parser.most_calls, 1U);
  const Json& echo = request.answer.echo;
  EXPECT_EQ(echo["model"], "m");
  EXPECT_EQ(echo["max_output_tokens"], 5);
  EXPECT_EQ(echo["metadata"], Json({{"k", "v"}}));
  EXPECT_EQ(echo["instructions"], nullptr);
  EXPECT_EQ(echo["parallel_tool_calls"], false);
  EXPECT_EQ(echo["tools"], Json::parse(R"([{"type": "function", "name": "f",
                                            "parameters": null, "strict": null}])"));
}

TEST_F(ResponsesRequestTest, ToolChoiceNoneHidesTheTools) {
  const std::string body = R"({"input": "Hi", "tools": [{"type": "function", "name": "f"}],
                               "tool_choice": "none"})";
  EXPECT_EQ(prompt(body), "<user >Hi\n");
  EXPECT_FALSE(read(body).answer.parser.tools);
}

TEST_F(ResponsesRequestTest, ToolChoiceMayDemandCalls) {
  const std::string tools = R"({"input": "Hi", "tools": [{"type": "function", "name": "f"}])";
  const ResponsesRequest required = read(tools + R"(, "tool_choice": "required"})");
  EXPECT_EQ(required.job.format.kind, AnswerFormat::Kind::kCalls);
  EXPECT_EQ(required.answer.parser.begun, "<tool_calls>\n");
  EXPECT_EQ(required.answer.echo["tool_choice"], "required");
  EXPECT_NE(required.job.format.text.find("\"parameters\""), std::string::npos);
  const ResponsesRequest named =
      read(tools + R"(, "tool_choice": {"type": "function", "name": "f"}})");
  EXPECT_EQ(named.answer.echo["tool_choice"]["name"], "f");
  EXPECT_NE(named.job.format.text, required.job.format.text);
  EXPECT_EQ(prompt(tools + R"(, "tool_choice": "required"})"),
            "<user >Hi\n{\"name\": \"f\"}<tool_calls>\n");
  EXPECT_EQ(refused(tools + R"(, "tool_choice": {"type": "web_search"}})"), "tool_choice.type");
  EXPECT_EQ(refused(tools + R"(, "tool_choice": {"type": "function", "name": "g"}})"),
            "tool_choice");
}

TEST_F(ResponsesRequestTest, AnswersOfAFormatAreNotTakenApart) {
  const ResponsesRequest free = read(R"({"input": "Hi"})");
  EXPECT_EQ(free.job.format.kind, AnswerFormat::Kind::kAny);
  EXPECT_EQ(free.answer.parser.format, ToolFormat::kM1);
  const ResponsesRequest request =
      read(R"({"input": "Hi", "text": {"format": {"type": "json_object"}},
               "tools": [{"type": "function", "name": "f"}], "tool_choice": "none"})");
  EXPECT_EQ(request.job.format.kind, AnswerFormat::Kind::kJsonObject);
  EXPECT_EQ(request.answer.parser.format, ToolFormat::kNone);
  EXPECT_TRUE(request.job.requests.at(0).shown_ids.empty());
  EXPECT_EQ(request.answer.echo["text"]["format"]["type"], "json_object");
}

TEST_F(ResponsesRequestTest, InputGoesOnFromAContext) {
  const ResponsesRequest request = read(
      R"({"context": "book", "input": [{"role": "user", "content": "a"},
          {"type": "reasoning"}, {"role": "assistant", "content": "b"},
          {"role": "user", "content": "c"}]})");
  EXPECT_EQ(request.context, "book");
  ASSERT_EQ(request.turns.size(), 3U);
  EXPECT_EQ(request.turns[2].content, "c");
  EXPECT_TRUE(request.job.requests.at(0).prompt.empty());
  EXPECT_EQ(refused(R"({"context": "book", "input": [{"role": "system", "content": "a"}]})"),
            "input[0].role");
  EXPECT_EQ(refused(R"({"context": "book", "input": "a", "instructions": "b"})"), "instructions");
  EXPECT_EQ(refused(R"({"context": "book", "input": "a",
                        "tools": [{"type": "function", "name": "f"}]})"),
            "tools");
  EXPECT_EQ(refused(R"({"context": 5, "input": "a"})"), "context");
}

TEST_F(ResponsesRequestTest, WrongFieldsAreNamed) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({})", "input"},
      {R"({"input": 1})", "input"},
      {R"({"input": []})", "input"},
      {R"({"input": [{"type": "reasoning"}]})", "input"},
      {R"({"input": [1]})", "input[0]"},
      {R"({"input": [{"content": "x"}]})", "input[0].role"},
      {R"({"input": [{"role": "king", "content": "x"}]})", "input[0].role"},
      {R"({"input": [{"role": "user"}]})", "input[0].content"},
      {R"({"input": [{"role": "user", "content": [{"type": "input_image"}]}]})",
       "input[0].content[0].type"},
      {R"({"input": [{"type": "web_search_call"}]})", "input[0].type"},
      {R"({"input": [{"type": "function_call", "name": "f"}]})", "input[0].call_id"},
      {R"({"input": [{"type": "function_call", "call_id": "1", "name": "f", "arguments": "x"}]})",
       "input[0].arguments"},
      {R"({"input": [{"type": "function_call_output", "call_id": "1", "output": ""}]})",
       "input[0].call_id"},
      {R"({"input": "Hi", "tools": [{"type": "web_search"}]})", "tools[0].type"},
      {R"({"input": "Hi", "tool_choice": "required"})", "tool_choice"},
      {R"({"input": "Hi", "tool_choice": "maybe"})", "tool_choice"},
      {R"({"input": "Hi", "tool_choice": {"type": "function", "name": "f"}})", "tool_choice"},
      {R"({"input": "Hi", "previous_response_id": "resp_1"})", "previous_response_id"},
      {R"({"input": "Hi", "background": true})", "background"},
      {R"({"input": "Hi", "top_logprobs": 1})", "top_logprobs"},
      {R"({"input": "Hi", "text": {"format": {"type": "yaml"}}})", "text.format.type"},
      {R"({"input": "Hi", "tools": [{"type": "function", "name": "f"}],
           "text": {"format": {"type": "json_schema", "schema": {}}}})",
       "text.format.schema"},
      {R"({"input": "Hi", "max_output_tokens": 0})", "max_output_tokens"},
      {R"({"input": "Hi", "n": 2})", "n"}};
  for (const auto& [body, field] : cases) {
    EXPECT_EQ(refused(body), field) << body;
  }
  EXPECT_EQ(refused(R"({"input": "Hi", "background": false, "store": true, "top_logprobs": 0,
                        "text": {"format": {"type": "text"}}, "previous_response_id": null})"),
            "nothing");
  model.tool_format = ToolFormat::kNone;
  EXPECT_EQ(refused(R"({"input": "Hi", "tools": [{"type": "function", "name": "f"}]})"), "tools");
}

}  // namespace mm
