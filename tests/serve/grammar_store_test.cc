#include "serve/grammar_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "serve/call_grammar.h"
#include "text/tokenizer.h"

namespace mm {

namespace {

using Kind = AnswerFormat::Kind;

const Tokenizer& tokenizer() {
  static const Tokenizer kTokenizer = Tokenizer::load(std::string(MM_SOURCE_DIR) + "/models/mini");
  return kTokenizer;
}

AnswerFormat schema(const std::string& text) {
  return {Kind::kJsonSchema, text, "response_format", "the schema"};
}

AnswerFormat gbnf(const std::string& text) {
  return {Kind::kGrammar, text, "grammar", "grammar"};
}

CompiledFormat get(GrammarStore& store, const AnswerFormat& format) {
  std::promise<CompiledFormat> promise;
  store.get(format, [&](const CompiledFormat& compiled) { promise.set_value(compiled); });
  return promise.get_future().get();
}

}  // namespace

TEST(GrammarStore, CompilesEachKindOnce) {
  GrammarStore store(tokenizer(), {});
  const std::vector<AnswerFormat> formats = {{Kind::kJsonObject, "", "response_format", "it"},
                                             schema(R"({"type": "null"})"),
                                             gbnf(R"(root ::= "a")")};
  for (const AnswerFormat& format : formats) {
    const CompiledFormat first = get(store, format);
    ASSERT_NE(first.grammar, nullptr);
    EXPECT_FALSE(first.error);
    EXPECT_EQ(get(store, format).grammar, first.grammar);
  }
  EXPECT_EQ(store.size(), 3U);
}

TEST(GrammarStore, AKnownGrammarComesAtOnceAndOthersFromAnotherThread) {
  GrammarStore store(tokenizer(), {});
  std::promise<std::thread::id> where;
  const auto tell = [&](const CompiledFormat&) { where.set_value(std::this_thread::get_id()); };
  store.get(gbnf(R"(root ::= "a")"), tell);
  EXPECT_NE(where.get_future().get(), std::this_thread::get_id());
  where = {};
  store.get(gbnf(R"(root ::= "a")"), tell);
  EXPECT_EQ(where.get_future().get(), std::this_thread::get_id());
}

TEST(GrammarStore, TheSameTextOfAnotherKindIsAnotherGrammar) {
  GrammarStore store(tokenizer(), {});
  EXPECT_TRUE(get(store, gbnf("true")).error);
  EXPECT_FALSE(get(store, schema("true")).error);
  EXPECT_TRUE(get(store, gbnf("true")).error);
}

TEST(GrammarStore, KeepsThoseThatWereAskedForLast) {
  GrammarStore store(tokenizer(), {}, 2);
  const AnswerFormat a = gbnf(R"(root ::= "a")");
  const AnswerFormat b = gbnf(R"(root ::= "b")");
  const AnswerFormat c = gbnf(R"(root ::= "c")");
  const auto first_a = get(store, a).grammar;
  const auto first_b = get(store, b).grammar;
  EXPECT_EQ(get(store, a).grammar, first_a);
  get(store, c);  // b goes
  EXPECT_EQ(store.size(), 2U);
  EXPECT_EQ(get(store, a).grammar, first_a);
  EXPECT_NE(get(store, b).grammar, first_b);
}

TEST(GrammarStore, ErrorsNameFieldKeywordAndPlace) {
  GrammarStore store(tokenizer(), {});
  const CompiledFormat compiled =
      get(store, schema(R"({"type": "object", "properties": {"a": {"multipleOf": 2}}})"));
  EXPECT_EQ(compiled.grammar, nullptr);
  ASSERT_TRUE(compiled.error);
  EXPECT_EQ(compiled.error->status, 400);
  EXPECT_EQ(compiled.error->type, "invalid_request_error");
  EXPECT_EQ(compiled.error->param, "response_format");
  EXPECT_EQ(compiled.error->code, "invalid_json_schema");
  EXPECT_NE(compiled.error->message.find("the schema: json schema at /properties/a"),
            std::string::npos);
  EXPECT_NE(compiled.error->message.find("\"multipleOf\""), std::string::npos);
  EXPECT_EQ(store.size(), 0U);
  const CompiledFormat large = get(store, gbnf(R"(root ::= ("a" "b"){1000000})"));
  ASSERT_TRUE(large.error);
  EXPECT_EQ(large.error->status, 400);
  EXPECT_EQ(large.error->param, "grammar");
  EXPECT_EQ(large.error->code, "invalid_value");  // not an error of the context's length
}

TEST(GrammarStore, AToolsSchemaIsNamedByItsPlaceInTheRequest) {
  GrammarStore store(tokenizer(), {});
  CallDemand demand;
  demand.form = ToolFormat::kM1;
  demand.schema_field = "input_schema";
  demand.tools = {{{"index", 3}, {"name", "f"}, {"parameters", {{"not", true}}}}};
  const CompiledFormat bad = get(store, make_call_format(demand, true));
  ASSERT_TRUE(bad.error);
  EXPECT_EQ(bad.error->param, "tools[3].input_schema");
  demand.tools[0]["parameters"] = Json::object();
  EXPECT_NE(get(store, make_call_format(demand, true)).grammar, nullptr);
  EXPECT_EQ(store.size(), 1U);
}

TEST(GrammarStore, MayEndWhileGrammarsAreWishedFor) {
  std::atomic<int> calls = 0;
  {
    GrammarStore store(tokenizer(), {});
    for (int i = 0; i < 50; ++i) {
      store.get(gbnf("root ::= \"" + std::to_string(i) + "\""),
                [&](const CompiledFormat&) { ++calls; });
    }
  }
  const int after = calls;
  EXPECT_LE(after, 50);
}

TEST(GrammarStore, ThreadsMayAskAtOnce) {
  GrammarStore store(tokenizer(), {}, 3);
  std::vector<std::future<void>> threads;
  for (int t = 0; t < 4; ++t) {
    threads.push_back(std::async(std::launch::async, [&store, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string text = "root ::= \"" + std::to_string((t + i) % 5) + "\"";
        EXPECT_NE(get(store, gbnf(text)).grammar, nullptr);
      }
    }));
  }
  for (std::future<void>& thread : threads) {
    thread.get();
  }
  EXPECT_LE(store.size(), 3U);
}

}  // namespace mm
