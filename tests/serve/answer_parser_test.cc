#include "serve/answer_parser.h"

#include <gtest/gtest.h>

namespace mm {

namespace {

/// Parts in short: "text", "(thought)", "[name{arguments}]"; neighbours of one kind joined.
std::string show(const std::vector<AnswerPart>& parts) {
  std::string out;
  for (size_t i = 0; i < parts.size(); ++i) {
    const AnswerPart& part = parts[i];
    const bool joins = i > 0 && parts[i - 1].kind == part.kind;
    switch (part.kind) {
      case AnswerPart::Kind::kText:
        out += part.text;
        break;
      case AnswerPart::Kind::kReasoning:
        if (joins) {
          out.pop_back();
        } else {
          out += "(";
        }
        out += part.text + ")";
        break;
      case AnswerPart::Kind::kToolCall:
        out += "[" + part.call.name + part.call.arguments + "]";
        break;
    }
  }
  return out;
}

void append(std::vector<AnswerPart>& all, std::vector<AnswerPart> more) {
  for (AnswerPart& part : more) {
    all.push_back(std::move(part));
  }
}

/// The answer in pieces of `step` bytes, the first of `first`.
std::string parse(const AnswerParserOptions& options, const std::string& text, size_t first,
                  size_t step) {
  AnswerParser parser(options);
  std::vector<AnswerPart> parts;
  for (size_t begin = 0, size = first; begin < text.size(); begin += size, size = step) {
    size = begin == 0 ? first : step;
    append(parts, parser.push(text.substr(begin, size)));
  }
  append(parts, parser.finish());
  return show(parts);
}

/// Expects the same of every cut in two and of single bytes.
void expect_parts(const AnswerParserOptions& options, const std::string& text,
                  const std::string& expected) {
  EXPECT_EQ(parse(options, text, text.size() + 1, 1), expected);
  EXPECT_EQ(parse(options, text, 1, 1), expected);
  for (size_t first = 1; first < text.size(); ++first) {
    ASSERT_EQ(parse(options, text, first, text.size()), expected) << "cut at " << first;
  }
}

const AnswerParserOptions kM1Tools = {.format = ToolFormat::kM1, .tools = true};
const AnswerParserOptions kText01Tools = {.format = ToolFormat::kText01, .tools = true};

}  // namespace

TEST(AnswerParser, LeavesTextAlone) {
  const std::string text = "  One < two <think> \n\n";
  expect_parts({}, text, text);
  expect_parts(kM1Tools, text, text);
  expect_parts(kText01Tools, text, text);
}

TEST(AnswerParser, ReadsThoughtsBeforeTheAnswer) {
  expect_parts({.format = ToolFormat::kM1}, "<think>\nA <b>?\n\nC\n</think>\n\nYes.\n",
               "(A <b>?\n\nC)Yes.\n");
  expect_parts({.format = ToolFormat::kM1}, "\n<think></think>Yes", "Yes");
  expect_parts({.format = ToolFormat::kM1}, "<think>never ends </thi", "(never ends </thi)");
  expect_parts({.format = ToolFormat::kText01}, "<think>a</think>b", "<think>a</think>b");
}

TEST(AnswerParser, ReadsCallsOfM1) {
  expect_parts(kM1Tools,
               "<think>\nUse it.</think>\n\nI look.\n<tool_calls>\n"
               R"({"name": "find", "arguments": {"q": "a}\"{", "n": [1, {"x": 2}]}})"
               "\n"
               R"({"name": "stop"})"
               "\n</tool_calls>\n",
               R"((Use it.)I look.[find{"q":"a}\"{","n":[1,{"x":2}]}][stop{}])");
}

TEST(AnswerParser, IgnoresCallsInThoughtsAndWhereThereAreNoTools) {
  const std::string call = "<tool_calls>\n{\"name\":\"f\",\"arguments\":{}}\n</tool_calls>";
  expect_parts(kM1Tools, "<think>" + call + "</think>no", "(" + call + ")no");
  expect_parts({.format = ToolFormat::kM1}, call, call);
}

TEST(AnswerParser, TakesArgumentsThatCameAsAString) {
  expect_parts(kM1Tools, R"(<tool_calls>{"name":"f","arguments":"{\"a\": 1}"}</tool_calls>)",
               R"([f{"a":1}])");
}

TEST(AnswerParser, ShowsWhatIsNoCallAsText) {
  expect_parts(kM1Tools, "<tool_calls>\nnot one</tool_calls>", "not one</tool_calls>");
  expect_parts(kM1Tools, R"(<tool_calls>{"name": 1}</tool_calls>)", R"({"name": 1})");
  expect_parts(kM1Tools, R"(<tool_calls>{"name": "f", "argu)", R"({"name": "f", "argu)");
  expect_parts(kText01Tools, "<function_call>hello", "hello");
  expect_parts(kText01Tools, "<function_call>```typescript\nfunctions.f({1})\n```",
               "functions.f({1})\n```");
  expect_parts(kText01Tools, "<function_call>functions. f", "functions. f");
}

TEST(AnswerParser, ReadsCallsOfText01) {
  expect_parts(kText01Tools,
               "Wait.\n<function_call>```typescript\n"
               "functions.get_weather({\"city\": \"K\\u00f6ln (\\\"x\\\")\"})\nfunctions.now();\n"
               "```\nDone.",
               "Wait.[get_weather{\"city\":\"K\u00f6ln (\\\"x\\\")\"}][now{}]Done.");
}

TEST(AnswerParser, ReadsAnotherCallAfterText) {
  const std::string call = "<tool_calls>{\"name\":\"f\"}</tool_calls>";
  expect_parts(kM1Tools, call + " then " + call, "[f{}]then[f{}]");
}

TEST(AnswerParser, IsDoneAfterTheCallsThatAreWanted) {
  AnswerParserOptions options = kM1Tools;
  options.most_calls = 1;
  AnswerParser parser(options);
  EXPECT_TRUE(parser.push("<tool_calls>{\"name\":\"f\"").empty());
  EXPECT_FALSE(parser.done());
  EXPECT_EQ(show(parser.push("} {\"name\":\"g\"}")), "[f{}]");
  EXPECT_TRUE(parser.done());
  EXPECT_EQ(parser.calls(), 1U);
  EXPECT_TRUE(parser.push("more").empty());
  EXPECT_TRUE(parser.finish().empty());
}

TEST(AnswerParser, GoesOnFromWhatThePromptHoldsOfTheAnswer) {
  AnswerParserOptions m1 = kM1Tools;
  m1.begun = "<tool_calls>\n";
  expect_parts(m1, "{\"name\": \"f\"}\n{\"name\": \"g\"}\n</tool_calls>", "[f{}][g{}]");
  expect_parts(m1, "{\"name\": \"f\", \"argu", "{\"name\": \"f\", \"argu");
  AnswerParserOptions text01{.format = ToolFormat::kText01, .tools = true};
  text01.begun = "<function_call>```typescript\n";
  expect_parts(text01, "functions.f({\"a\": 1})\nfunctions.g({})\n```", "[f{\"a\":1}][g{}]");
  EXPECT_EQ(AnswerParser(text01).finish().size(), 0U);
}

TEST(AnswerParser, ReleasesTextAsSoonAsItIsCertain) {
  AnswerParser parser(kM1Tools);
  EXPECT_EQ(show(parser.push("Hello")), "Hello");
  EXPECT_EQ(show(parser.push(" <tool")), "");
  EXPECT_EQ(show(parser.push("s>x")), " <tools>x");
}

}  // namespace mm
