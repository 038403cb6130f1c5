#include "serve/tool_format.h"

#include <gtest/gtest.h>

#include "serve/answer_parser.h"

namespace mm {

namespace {

const std::string kMini = std::string(MM_SOURCE_DIR) + "/models/mini";

/// The conversation, then what `tools` adds.
PromptBuilder prompts_with(const Tokenizer& tokenizer, const std::string& tools) {
  return {
      ChatTemplate::parse("{% for m in messages %}{{ m['content'] }}{% endfor %}" + tools, "test"),
      tokenizer};
}

}  // namespace

TEST(ToolFormat, IsFoundByWhatTheTemplateTellsTheModel) {
  const Tokenizer tokenizer = Tokenizer::load(kMini);
  EXPECT_EQ(find_tool_format(PromptBuilder(kMini, tokenizer)), ToolFormat::kNone);
  EXPECT_EQ(
      find_tool_format(prompts_with(tokenizer, "{% for t in tools %}{{ t | tojson }}{% endfor %}")),
      ToolFormat::kText01);
  EXPECT_EQ(find_tool_format(prompts_with(tokenizer,
                                          "{% if tools %}Write <tool_calls>. {% for t in tools %}"
                                          "{{ t | tojson }}{% endfor %}{% endif %}")),
            ToolFormat::kM1);
}

TEST(ToolFormat, WritesCallsAsTheModelsDo) {
  const std::vector<ToolCall> calls = {{"f", R"({"a":[1,"\u00e9"],"b":{}})"}, {"g", "{}"}};
  EXPECT_EQ(format_tool_calls(ToolFormat::kM1, calls),
            "<tool_calls>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, \"\u00e9\"], \"b\": {}}}\n"
            "{\"name\": \"g\", \"arguments\": {}}\n</tool_calls>");
  EXPECT_EQ(format_tool_calls(ToolFormat::kText01, calls),
            "<function_call>```typescript\nfunctions.f({\"a\": [1, \"\u00e9\"], \"b\": {}})\n"
            "functions.g({})\n```");
}

TEST(ToolFormat, WhatIsWrittenReadsBack) {
  const std::vector<ToolCall> calls = {{"f", R"({"a":"} \" )"
                                             R"("})"},
                                       {"g", "{}"}};
  for (const ToolFormat format : {ToolFormat::kM1, ToolFormat::kText01}) {
    AnswerParser parser({.format = format, .tools = true});
    const std::vector<AnswerPart> parts = parser.push(format_tool_calls(format, calls));
    ASSERT_EQ(parts.size(), 2U);
    for (size_t i = 0; i < parts.size(); ++i) {
      EXPECT_EQ(parts[i].call.name, calls[i].name);
      EXPECT_EQ(parts[i].call.arguments, calls[i].arguments);
    }
  }
}

}  // namespace mm
