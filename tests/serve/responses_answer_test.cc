#include "serve/responses_answer.h"

#include <gtest/gtest.h>

#include "tests/serve/fake_exchange.h"

namespace mm {

namespace {

const char* const kAnswer =
    "<think>\nHm.\n</think>\nI look.\n<tool_calls>\n"
    R"({"name": "f", "arguments": {"a": 1}})"
    "\n</tool_calls>";

const Tokenizer& tokenizer() {
  static const Tokenizer kTokenizer = Tokenizer::load(std::string(MM_SOURCE_DIR) + "/models/mini");
  return kTokenizer;
}

struct Answer {
  explicit Answer(bool stream) {
    ResponsesAnswerOptions options;
    options.stream = stream;
    options.echo = {{"model", "m"}};
    options.parser = {.format = ToolFormat::kM1, .tools = true};
    writer = make_responses_answer(exchange, tokenizer(), std::move(options));
    writer->begin();
  }
  void write(const std::string& text, const GenerationResult& result) const {
    for (const char c : text) {
      ASSERT_TRUE(writer->text(0, std::string(1, c), {}));
    }
    writer->end(0, result, {});
    writer->finish();
  }
  /// The data of all events, after a look at their names, numbers and end.
  std::vector<Json> events() const {
    std::vector<Json> result;
    const std::string end_mark = "data: [DONE]\n\n";
    const std::string& body = exchange->body;
    EXPECT_EQ(body.substr(body.size() - end_mark.size()), end_mark);
    for (size_t begin = 0; begin < body.size() - end_mark.size();) {
      const size_t data = body.find("\ndata: ", begin);
      const size_t end = body.find("\n\n", data);
      result.push_back(Json::parse(body.substr(data + 7, end - data - 7)));
      EXPECT_EQ("event: " + result.back()["type"].get<std::string>(),
                body.substr(begin, data - begin));
      EXPECT_EQ(result.back()["sequence_number"], result.size() - 1);
      begin = end + 2;
    }
    return result;
  }

  std::shared_ptr<FakeExchange> exchange = std::make_shared<FakeExchange>();
  std::unique_ptr<AnswerWriter> writer;
};

GenerationResult result_of(FinishReason reason) {
  GenerationResult result;
  result.reason = reason;
  result.ids = {1, 2, 3};
  result.usage.prompt_tokens = 10;
  result.usage.cached_tokens = 4;
  return result;
}

/// What differs from one answer to the next is left out.
Json without_ids(Json items) {
  for (Json& item : items) {
    item.erase("id");
    item.erase("call_id");
  }
  return items;
}

}  // namespace

TEST(ResponsesAnswer, GivesTheItemsOfAWholeAnswer) {
  const Answer answer(false);
  answer.write(kAnswer, result_of(FinishReason::kStop));
  const Json json = Json::parse(answer.exchange->body);
  EXPECT_EQ(json["object"], "response");
  EXPECT_EQ(json["status"], "completed");
  EXPECT_EQ(json["model"], "m");
  EXPECT_TRUE(json.at("access_programs").is_null());
  const Json& output = json["output"];
  ASSERT_EQ(output.size(), 3U);
  EXPECT_EQ(output[0]["type"], "reasoning");
  EXPECT_EQ(output[0]["content"][0]["text"], "Hm.");
  EXPECT_EQ(output[1]["type"], "message");
  EXPECT_EQ(output[1]["content"][0]["type"], "output_text");
  EXPECT_EQ(output[1]["content"][0]["text"], "I look.");
  EXPECT_EQ(output[2]["type"], "function_call");
  EXPECT_EQ(output[2]["name"], "f");
  EXPECT_EQ(output[2]["arguments"], "{\"a\":1}");
  EXPECT_NE(output[2]["call_id"], output[2]["id"]);
  for (const Json& item : output) {
    EXPECT_EQ(item["status"], "completed");
  }
  const Json& usage = json["usage"];
  EXPECT_EQ(usage["input_tokens"], 10);
  EXPECT_EQ(usage["input_tokens_details"]["cached_tokens"], 4);
  EXPECT_EQ(usage["input_tokens_details"]["cache_write_tokens"], 0);
  EXPECT_EQ(usage["output_tokens"], 3);
  EXPECT_EQ(usage["output_tokens_details"]["reasoning_tokens"], tokenizer().encode("Hm.").size());
  EXPECT_EQ(usage["total_tokens"], 13);
}

// A client that follows the events has at the end what the last event says.
TEST(ResponsesAnswer, EventsAddUpToTheWhole) {
  const Answer answer(true);
  answer.write(kAnswer, result_of(FinishReason::kStop));
  const std::vector<Json> events = answer.events();
  EXPECT_EQ(events[0]["type"], "response.created");
  EXPECT_EQ(events[0]["response"]["status"], "in_progress");
  EXPECT_EQ(events[1]["type"], "response.in_progress");
  EXPECT_EQ(events.back()["type"], "response.completed");
  Json items = Json::array();
  Json done = Json::array();
  for (const Json& event : events) {
    const std::string type = event["type"].get<std::string>();
    if (type == "response.output_item.added") {
      EXPECT_EQ(event["output_index"], items.size());
      EXPECT_EQ(event["item"]["status"], "in_progress");
      items.push_back(event["item"]);
      continue;
    }
    if (!event.contains("output_index")) {
      continue;
    }
    EXPECT_EQ(event["output_index"], items.size() - 1);
    Json& item = items.back();
    if (type == "response.output_item.done") {
      item["status"] = "completed";
      done.push_back(event["item"]);
      continue;
    }
    EXPECT_EQ(event["item_id"], item["id"]);
    if (type == "response.content_part.added") {
      item["content"].push_back(event["part"]);
    } else if (type == "response.output_text.delta" || type == "response.reasoning_text.delta") {
      item["content"][0]["text"].get_ref<std::string&>() += event["delta"].get<std::string>();
    } else if (type == "response.function_call_arguments.delta") {
      item["arguments"].get_ref<std::string&>() += event["delta"].get<std::string>();
    } else if (type == "response.output_text.done" || type == "response.reasoning_text.done") {
      EXPECT_EQ(event["text"], item["content"][0]["text"]);
    } else if (type == "response.content_part.done") {
      EXPECT_EQ(event["part"], item["content"][0]);
    } else {
      EXPECT_EQ(type, "response.function_call_arguments.done");
      EXPECT_EQ(event["arguments"], item["arguments"]);
    }
  }
  const Json& last = events.back()["response"];
  EXPECT_EQ(items, last["output"]);
  EXPECT_EQ(done, last["output"]);
  const Answer whole(false);
  whole.write(kAnswer, result_of(FinishReason::kStop));
  EXPECT_EQ(without_ids(items), without_ids(Json::parse(whole.exchange->body)["output"]));
}

TEST(ResponsesAnswer, AnAnswerCutShortIsIncomplete) {
  const Answer whole(false);
  whole.write("Hi", result_of(FinishReason::kLength));
  const Json json = Json::parse(whole.exchange->body);
  EXPECT_EQ(json["status"], "incomplete");
  EXPECT_EQ(json["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(json["output"][0]["status"], "incomplete");
  const Answer stream(true);
  stream.write("Hi", result_of(FinishReason::kLength));
  EXPECT_EQ(stream.events().back()["type"], "response.incomplete");
}

TEST(ResponsesAnswer, AnEmptyAnswerIsAMessage) {
  const Answer answer(false);
  answer.write("", result_of(FinishReason::kStop));
  const Json output = Json::parse(answer.exchange->body)["output"];
  ASSERT_EQ(output.size(), 1U);
  EXPECT_EQ(output[0]["content"][0]["text"], "");
}

TEST(ResponsesAnswer, FailsInItsOwnForm) {
  const Answer whole(false);
  whole.writer->fail({429, "rate_limit_error", "full", "", "queue_full"});
  EXPECT_EQ(whole.exchange->head.status, 429);
  const Answer stream(true);
  stream.writer->fail({500, "server_error", "broken", "", "internal_error"});
  const Json last = stream.events().back();
  EXPECT_EQ(last["type"], "response.failed");
  EXPECT_EQ(last["response"]["status"], "failed");
  EXPECT_EQ(last["response"]["error"]["code"], "server_error");
}

}  // namespace mm
