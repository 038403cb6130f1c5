#include "serve/openai_answer.h"

#include <gtest/gtest.h>

#include "tests/serve/fake_exchange.h"

namespace mm {

namespace {

const char* const kAnswer =
    "<think>\nHm.\n</think>\nI look.\n<tool_calls>\n"
    R"({"name": "f", "arguments": {"a": 1}})"
    "\n"
    R"({"name": "g", "arguments": {}})"
    "\n</tool_calls>";

const Tokenizer& tokenizer() {
  static const Tokenizer kTokenizer = Tokenizer::load(std::string(MM_SOURCE_DIR) + "/models/mini");
  return kTokenizer;
}

struct Chat {
  explicit Chat(bool stream, size_t most_calls = 0, bool named_call = false) {
    OpenAiAnswerOptions options;
    options.chat = true;
    options.stream = stream;
    options.model = "m";
    options.named_call = named_call;
    options.parser = {.format = ToolFormat::kM1, .tools = true, .most_calls = most_calls};
    writer = make_openai_answer(exchange, tokenizer(), options);
    writer->begin();
  }
  /// Gives the writer the text byte by byte until it has enough; the number of bytes it took.
  size_t write(const std::string& text) const {
    for (size_t i = 0; i < text.size(); ++i) {
      if (!writer->text(0, text.substr(i, 1), {})) {
        return i + 1;
      }
    }
    return text.size();
  }
  void end(FinishReason reason = FinishReason::kStop) const {
    GenerationResult result;
    result.reason = reason;
    writer->end(0, result, {});
    writer->finish();
  }
  Json whole() const { return Json::parse(exchange->body); }
  /// The deltas of a stream, in order, then the reason it ended for.
  std::vector<Json> deltas() const {
    std::vector<Json> result;
    std::string reason;
    size_t begin = 0;
    while (true) {
      const size_t end = exchange->body.find("\n\n", begin);
      const std::string data = exchange->body.substr(begin + 6, end - begin - 6);
      if (data == "[DONE]") {
        break;
      }
      const Json choice = Json::parse(data)["choices"][0];
      result.push_back(choice["delta"]);
      if (!choice["finish_reason"].is_null()) {
        reason = choice["finish_reason"].get<std::string>();
      }
      begin = end + 2;
    }
    result.emplace_back(reason);
    return result;
  }

  std::shared_ptr<FakeExchange> exchange = std::make_shared<FakeExchange>();
  std::unique_ptr<AnswerWriter> writer;
};

}  // namespace

TEST(OpenAiAnswer, GivesThoughtsTextAndCallsOfAWholeAnswer) {
  const Chat chat(false);
  chat.write(kAnswer);
  chat.end();
  const Json choice = chat.whole()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["reasoning_content"], "Hm.");
  EXPECT_EQ(choice["message"]["content"], "I look.");
  EXPECT_TRUE(choice["message"].at("refusal").is_null());
  const Json& calls = choice["message"]["tool_calls"];
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[0]["type"], "function");
  EXPECT_EQ(calls[0]["function"]["name"], "f");
  EXPECT_EQ(calls[0]["function"]["arguments"], "{\"a\":1}");
  EXPECT_NE(calls[0]["id"], calls[1]["id"]);
}

TEST(OpenAiAnswer, StreamsThePartsOfTheWhole) {
  const Chat chat(true);
  chat.write(kAnswer);
  chat.end();
  std::string content;
  std::string reasoning;
  std::vector<Json> calls;
  const std::vector<Json> deltas = chat.deltas();
  for (const Json& delta : deltas) {
    if (!delta.is_object()) {
      continue;
    }
    content += delta.value("content", "");
    reasoning += delta.value("reasoning_content", "");
    for (const Json& call : delta.value("tool_calls", Json::array())) {
      calls.push_back(call);
    }
  }
  EXPECT_EQ(content, "I look.");
  EXPECT_EQ(reasoning, "Hm.");
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[0]["index"], 0);
  EXPECT_EQ(calls[1]["index"], 1);
  EXPECT_EQ(calls[1]["function"]["name"], "g");
  EXPECT_EQ(deltas.back(), "tool_calls");
}

TEST(OpenAiAnswer, StopsAfterTheCallsThatAreWanted) {
  const Chat chat(false, 1);
  const std::string answer = kAnswer;
  EXPECT_EQ(chat.write(answer), answer.find("}}") + 2);
  chat.end(FinishReason::kCancelled);
  const Json choice = chat.whole()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["tool_calls"].size(), 1U);
}

TEST(OpenAiAnswer, ACallThatTheRequestNamedIsNoReasonToEnd) {
  for (const bool stream : {false, true}) {
    const Chat chat(stream, 0, true);
    chat.write("<tool_calls>{\"name\": \"f\"}</tool_calls>");
    chat.end();
    EXPECT_EQ(stream ? chat.deltas().back() : chat.whole()["choices"][0]["finish_reason"], "stop");
  }
}

TEST(OpenAiAnswer, HasNoContentBesideCallsAlone) {
  const Chat chat(false);
  chat.write("<tool_calls>{\"name\": \"f\"}</tool_calls>");
  chat.end();
  EXPECT_TRUE(chat.whole()["choices"][0]["message"]["content"].is_null());
}

TEST(OpenAiAnswer, ACallThatWasCutOffIsText) {
  const Chat chat(false);
  chat.write("<tool_calls>{\"name\": \"f\", \"arg");
  chat.end(FinishReason::kLength);
  const Json choice = chat.whole()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(choice["message"]["content"], "{\"name\": \"f\", \"arg");
  EXPECT_FALSE(choice["message"].contains("tool_calls"));
}

}  // namespace mm
