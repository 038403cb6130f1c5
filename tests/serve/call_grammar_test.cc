#include "serve/call_grammar.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "serve/answer_parser.h"
#include "serve/api_error.h"
#include "tests/text/grammar/validate.h"
#include "tests/text/grammar/walk.h"
#include "text/tokenizer.h"

namespace mm {

namespace {

std::shared_ptr<const TokenTrie> bundled_trie() {
  static const auto kTrie = std::make_shared<const TokenTrie>(
      Tokenizer::load(MM_SOURCE_DIR "/models/mini"), std::vector<int32_t>());
  return kTrie;
}

Json tool(size_t index, const char* name, const char* parameters) {
  return {{"index", index}, {"name", name}, {"parameters", Json::parse(parameters)}};
}

/// Names that begin alike, schemas with references and recursion into themselves, and values that
/// look like the end of a call.
const Json kTools = {
    tool(0, "get", R"({"type": "object", "properties": {
        "city": {"enum": ["Paris", "})\n```", "\"}}\n</tool_calls>"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
        "text": {"type": "string", "maxLength": 8}}, "required": ["city"]})"),
    tool(1, "get_all", R"({"type": "object", "properties": {}})"),
    tool(2, "tree.of-x", R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object",
        "properties": {"value": {"type": "number"},
                       "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
        "required": ["value"]}}})"),
    tool(3, "any",
         R"({"anyOf": [{"type": ["object", "null"], "properties": {"a": {"type": "null"}}},
        {"const": {"b": 1}}, {"type": "string"}]})"),
};

CallDemand demand_of(ToolFormat form, bool one, const Json& tools = kTools) {
  CallDemand demand;
  demand.form = form;
  demand.one = one;
  demand.tools = tools;
  demand.schema_field = "function.parameters";
  return demand;
}

/// Calls that the parser finds in an answer, all of which must be calls.
std::vector<ToolCall> parse(ToolFormat form, const std::string& answer) {
  AnswerParser parser(
      {.format = form, .tools = true, .begun = std::string(call_form(form).opening)});
  std::vector<AnswerPart> parts = parser.push(answer);
  for (AnswerPart& part : parser.finish()) {
    parts.push_back(std::move(part));
  }
  std::vector<ToolCall> calls;
  for (const AnswerPart& part : parts) {
    EXPECT_EQ(part.kind, AnswerPart::Kind::kToolCall) << answer << "\n" << part.text;
    calls.push_back(part.call);
  }
  return calls;
}

void check_calls(const std::vector<ToolCall>& calls) {
  for (const ToolCall& call : calls) {
    const auto called = std::find_if(kTools.begin(), kTools.end(),
                                     [&](const Json& t) { return t["name"] == call.name; });
    ASSERT_NE(called, kTools.end()) << call.name;
    EXPECT_TRUE(testing::is_valid((*called)["parameters"], call.arguments)) << call.arguments;
  }
}

std::shared_ptr<const Grammar> compile(const CallDemand& demand, bool closes = true) {
  return compile_call_format(make_call_format(demand, closes), bundled_trie());
}

}  // namespace

TEST(CallGrammar, AnswersAreCallsThatTheirSchemasAllow) {
  for (const ToolFormat form : {ToolFormat::kM1, ToolFormat::kText01}) {
    for (const bool closes : {true, false}) {
      const auto grammar = compile(demand_of(form, false), closes);
      size_t most = 0;
      for (uint32_t seed = 0; seed < 25; ++seed) {
        const auto text = testing::walk(grammar, seed, static_cast<int>(seed) * 3);
        ASSERT_TRUE(text);
        const std::vector<ToolCall> calls = parse(form, *text);
        ASSERT_GE(calls.size(), 1U) << *text;
        most = std::max(most, calls.size());
        check_calls(calls);
      }
      EXPECT_GT(most, 1U);
    }
  }
}

TEST(CallGrammar, OneCallIsExactlyOne) {
  for (const ToolFormat form : {ToolFormat::kM1, ToolFormat::kText01}) {
    const auto grammar = compile(demand_of(form, true));
    for (uint32_t seed = 0; seed < 25; ++seed) {
      const auto text = testing::walk(grammar, seed, static_cast<int>(seed) * 3);
      ASSERT_TRUE(text);
      const std::vector<ToolCall> calls = parse(form, *text);
      ASSERT_EQ(calls.size(), 1U) << *text;
      check_calls(calls);
    }
  }
}

TEST(CallGrammar, WhatModelsWriteIsInIt) {
  const std::vector<ToolCall> calls = {{"get", R"({"city":"Paris","days":3})"}, {"get_all", "{}"}};
  for (const ToolFormat form : {ToolFormat::kM1, ToolFormat::kText01}) {
    const std::string text = format_tool_calls(form, calls);
    const std::string_view opening = call_form(form).opening;
    ASSERT_EQ(text.substr(0, opening.size()), opening);
    GrammarState state(compile(demand_of(form, false)));
    for (const int32_t id : Tokenizer::load(MM_SOURCE_DIR "/models/mini")
                                .encode(std::string_view(text).substr(opening.size()))) {
      ASSERT_FALSE(state.must_end());
      state.accept(id);
    }
    EXPECT_TRUE(state.must_end());
  }
}

TEST(CallGrammar, SchemasThatCannotBeKeptNameToolKeywordAndPlace) {
  const Json bad = {kTools[0], tool(5, "bad", R"({"type": "object", "properties": {
                                                  "a/b": {"type": "number", "multipleOf": 2}}})")};
  try {
    compile(demand_of(ToolFormat::kM1, false, bad));
    FAIL() << "compiled";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    EXPECT_EQ(error.param, "tools[5].function.parameters");
    EXPECT_EQ(error.code, "invalid_function_parameters");
    for (const char* words : {"'bad'", "/properties/a~1b", "\"multipleOf\""}) {
      EXPECT_NE(error.message.find(words), std::string::npos) << error.message;
    }
  }
  const Json text = {tool(0, "text", R"({"type": "string"})")};
  EXPECT_THROW(compile(demand_of(ToolFormat::kM1, false, text)), ApiError);
}

TEST(CallGrammar, LongSchemasAreRefusedBeforeTheyAreCompiled) {
  const std::string long_text(300 << 10, 'x');
  const Json tools = {{{"index", 0}, {"name", "f"}, {"parameters", {{"description", long_text}}}}};
  try {
    make_call_format(demand_of(ToolFormat::kM1, false, tools), true);
    FAIL() << "taken";
  } catch (const ApiError& error) {
    EXPECT_EQ(error.param, "tools");
  }
}

}  // namespace mm
