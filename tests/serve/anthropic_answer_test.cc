#include "serve/anthropic_answer.h"

#include <gtest/gtest.h>

#include "tests/serve/fake_exchange.h"

namespace mm {

namespace {

const char* const kAnswer =
    "<think>\nHm.\n</think>\nI look.\n<tool_calls>\n"
    R"({"name": "f", "arguments": {"a": 1}})"
    "\n</tool_calls>";

struct Message {
  explicit Message(bool stream) {
    AnthropicAnswerOptions options;
    options.stream = stream;
    options.prompt_tokens = 10;
    options.model = "m";
    options.parser = {.format = ToolFormat::kM1, .tools = true};
    writer = make_anthropic_answer(exchange, std::move(options));
    writer->begin();
  }
  void write(const std::string& text, const GenerationResult& result) const {
    for (const char c : text) {
      ASSERT_TRUE(writer->text(0, std::string(1, c), {}));
    }
    writer->end(0, result, {});
    writer->finish();
  }
  /// The data of all events, after a look at their names.
  std::vector<Json> events() const {
    std::vector<Json> result;
    for (size_t begin = 0; begin < exchange->body.size();) {
      const size_t data = exchange->body.find("\ndata: ", begin);
      const size_t end = exchange->body.find("\n\n", data);
      result.push_back(Json::parse(exchange->body.substr(data + 7, end - data - 7)));
      EXPECT_EQ("event: " + result.back()["type"].get<std::string>(),
                exchange->body.substr(begin, data - begin));
      begin = end + 2;
    }
    return result;
  }

  std::shared_ptr<FakeExchange> exchange = std::make_shared<FakeExchange>();
  std::unique_ptr<AnswerWriter> writer;
};

GenerationResult result_of(FinishReason reason, const std::string& stop = "") {
  GenerationResult result;
  result.reason = reason;
  result.stop = stop;
  result.ids = {1, 2, 3};
  result.usage.cached_tokens = 4;
  return result;
}

}  // namespace

TEST(AnthropicAnswer, GivesTheBlocksOfAWholeAnswer) {
  const Message message(false);
  message.write(kAnswer, result_of(FinishReason::kStop));
  const Json json = Json::parse(message.exchange->body);
  ASSERT_EQ(json["content"].size(), 3U);
  EXPECT_EQ(json["content"][0]["thinking"], "Hm.");
  EXPECT_EQ(json["content"][1]["text"], "I look.");
  EXPECT_EQ(json["content"][2]["name"], "f");
  EXPECT_EQ(json["content"][2]["input"], Json({{"a", 1}}));
  EXPECT_EQ(json["content"][2]["caller"], Json({{"type", "direct"}}));
  EXPECT_EQ(json["stop_reason"], "tool_use");
  EXPECT_EQ(json["usage"]["input_tokens"], 6);
  EXPECT_EQ(json["usage"]["cache_read_input_tokens"], 4);
  EXPECT_EQ(json["usage"]["output_tokens"], 3);
}

TEST(AnthropicAnswer, StreamsTheSameBlocks) {
  const Message message(true);
  message.write(kAnswer, result_of(FinishReason::kStop));
  const std::vector<Json> events = message.events();
  EXPECT_EQ(events.front()["type"], "message_start");
  EXPECT_EQ(events.back()["type"], "message_stop");
  std::vector<std::string> types;
  std::vector<std::string> texts;
  int64_t open = -1;
  for (const Json& event : events) {
    if (event["type"] == "content_block_start") {
      EXPECT_EQ(open, -1);
      open = event["index"].get<int64_t>();
      EXPECT_EQ(open, static_cast<int64_t>(types.size()));
      types.push_back(event["content_block"]["type"].get<std::string>());
      texts.emplace_back();
    } else if (event["type"] == "content_block_delta") {
      EXPECT_EQ(event["index"], open);
      for (const char* key : {"text", "thinking", "partial_json"}) {
        texts.back() += event["delta"].value(key, "");
      }
    } else if (event["type"] == "content_block_stop") {
      EXPECT_EQ(event["index"], open);
      open = -1;
    }
  }
  EXPECT_EQ(open, -1);
  EXPECT_EQ(types, (std::vector<std::string>{"thinking", "text", "tool_use"}));
  EXPECT_EQ(texts, (std::vector<std::string>{"Hm.", "I look.", "{\"a\":1}"}));
  EXPECT_EQ(events[events.size() - 2]["delta"]["stop_reason"], "tool_use");
  EXPECT_EQ(events[events.size() - 2]["usage"]["output_tokens"], 3);
}

// Clients' types count on fields that this server has nothing to say of.
TEST(AnthropicAnswer, HasTheFieldsThatAreNull) {
  const Message whole(false);
  whole.write("Hi", result_of(FinishReason::kStop));
  const Message stream(true);
  stream.write("Hi", result_of(FinishReason::kStop));
  const std::vector<Json> events = stream.events();
  const Json message = Json::parse(whole.exchange->body);
  for (const Json& json : {message, events.front()["message"]}) {
    for (const char* name : {"stop_details", "container", "diagnostics"}) {
      EXPECT_TRUE(json.at(name).is_null());
    }
    for (const char* name : {"cache_creation", "inference_geo", "output_tokens_details",
                             "server_tool_use", "service_tier", "speed"}) {
      EXPECT_TRUE(json["usage"].at(name).is_null());
    }
  }
  EXPECT_TRUE(message["content"][0].at("citations").is_null());
  EXPECT_TRUE(events[1]["content_block"].at("citations").is_null());
  const Json& delta = events[events.size() - 2];
  for (const char* name : {"stop_details", "container"}) {
    EXPECT_TRUE(delta["delta"].at(name).is_null());
  }
  for (const char* name : {"output_tokens_details", "server_tool_use"}) {
    EXPECT_TRUE(delta["usage"].at(name).is_null());
  }
}

TEST(AnthropicAnswer, SaysWhyItEnded) {
  const std::vector<std::pair<GenerationResult, std::string>> cases = {
      {result_of(FinishReason::kStop), "end_turn"},
      {result_of(FinishReason::kStop, "x"), "stop_sequence"},
      {result_of(FinishReason::kLength), "max_tokens"}};
  for (const auto& [result, reason] : cases) {
    const Message message(false);
    message.write("Hi", result);
    const Json json = Json::parse(message.exchange->body);
    EXPECT_EQ(json["stop_reason"], reason);
    EXPECT_EQ(json["stop_sequence"], result.stop.empty() ? Json() : Json(result.stop));
  }
}

TEST(AnthropicAnswer, FailsInItsOwnForm) {
  const Message whole(false);
  whole.writer->fail({429, "rate_limit_error", "full"});
  EXPECT_EQ(whole.exchange->head.status, 429);
  EXPECT_EQ(Json::parse(whole.exchange->body)["error"]["type"], "rate_limit_error");
  const Message stream(true);
  stream.writer->fail({500, "server_error", "broken"});
  EXPECT_EQ(stream.events().back()["error"]["type"], "api_error");
}

}  // namespace mm
