#include "load/answer_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kEvents = "text/event-stream; charset=utf-8";

std::string event(const std::string& data) {
  return "data: " + data + "\n\n";
}
std::string text_event(const std::string& text) {
  return event(R"({"choices": [{"index": 0, "text": ")" + text + R"(", "finish_reason": null}]})");
}
std::string delta_event(const std::string& delta) {
  return event(R"({"choices": [{"delta": )" + delta + R"(, "finish_reason": null}]})");
}
const std::string kFinish = event(R"({"choices": [{"text": "", "finish_reason": "length"}]})");
const std::string kUsage =
    event(R"({"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 4,)"
          R"("prompt_tokens_details": {"cached_tokens": 8}}})");
const std::string kDone = event("[DONE]");

/// A reader of a stream that has begun well.
AnswerReader stream() {
  AnswerReader reader(0);
  reader.sent(1);
  reader.head(200, kEvents);
  return reader;
}

/// What comes of a stream that is one piece.
RequestRecord read(const std::string& body, HttpEnd how = HttpEnd::kDone,
                   const std::string& message = "") {
  AnswerReader reader = stream();
  reader.body(body, 2);
  return reader.end(how, message, 3);
}

TEST(AnswerReader, MeasuresTimesOfEventsWithText) {
  AnswerReader reader = stream();
  reader.body(delta_event(R"({"role": "assistant", "content": ""})"), 1.5);  // no text yet
  reader.body(text_event("a"), 2);
  reader.body(text_event("b") + text_event("c"), 2.5);
  reader.body(text_event("d") + kFinish, 4);
  reader.body(kUsage, 4.25);
  reader.body(kDone, 4.5);
  const RequestRecord record = reader.end(HttpEnd::kDone, "", 9);
  EXPECT_TRUE(record.complete) << record.failure << record.message;
  EXPECT_EQ(record.sent, 1);
  EXPECT_EQ(record.first, 2);
  EXPECT_EQ(record.end, 4.5);
  EXPECT_THAT(record.gaps, ElementsAre(0.5, 0, 1.5));
  EXPECT_EQ(record.events, 4);
  EXPECT_EQ(record.prompt_tokens, 12);
  EXPECT_EQ(record.cached_tokens, 8);
  EXPECT_EQ(record.tokens(), 4);
}

TEST(AnswerReader, KnowsAllKindsOfText) {
  const RequestRecord record =
      read(delta_event(R"({"content": "a"})") + delta_event(R"({"reasoning_content": "b"})") +
           delta_event(R"({"reasoning": "c"})") + delta_event(R"({"tool_calls": [{"index": 0}]})") +
           delta_event(R"({"content": null, "tool_calls": []})") + kDone);
  EXPECT_TRUE(record.complete);
  EXPECT_EQ(record.events, 4);
}

TEST(AnswerReader, WithoutUsageItCountsEvents) {
  const RequestRecord record = read(text_event("a") + text_event("b") + kDone);
  EXPECT_TRUE(record.complete);
  EXPECT_EQ(record.prompt_tokens, -1);
  EXPECT_EQ(record.cached_tokens, -1);
  EXPECT_EQ(record.tokens(), 2);
}

TEST(AnswerReader, AnAnswerIsWholeByItsReasonOrByDone) {
  EXPECT_TRUE(read(text_event("a") + kFinish).complete);
  EXPECT_TRUE(read(text_event("a") + kDone).complete);
  EXPECT_TRUE(read(text_event("a") + kDone, HttpEnd::kClosed).complete);
  const RequestRecord cut = read(text_event("a"));
  EXPECT_FALSE(cut.complete);
  EXPECT_EQ(cut.failure, "closed");
}

TEST(AnswerReader, EndsOfConnectionsAreFailures) {
  EXPECT_EQ(read(text_event("a"), HttpEnd::kClosed, "why").failure, "closed");
  EXPECT_EQ(read(text_event("a") + kFinish, HttpEnd::kClosed, "why").message, "why");
  EXPECT_EQ(read(text_event("a"), HttpEnd::kTimeout, "why").failure, "timeout");
  EXPECT_EQ(read("", HttpEnd::kMalformed, "why").failure, "malformed");
  AnswerReader reader(0);
  EXPECT_EQ(reader.end(HttpEnd::kRefused, "why", 1).failure, "connect");
}

TEST(AnswerReader, WhatWeStoppedHasNotFailed) {
  const RequestRecord record = read(text_event("a"), HttpEnd::kStopped);
  EXPECT_FALSE(record.complete);
  EXPECT_EQ(record.failure, "");
}

TEST(AnswerReader, AStatusIsAFailureWithTheServersSentence) {
  for (const char* body :
       {R"({"error": {"message": "queue full"}})", R"({"message": "queue full"})",
        R"({"error": "queue full"})", "queue full"}) {
    AnswerReader reader(0);
    reader.head(429, "application/json");
    EXPECT_TRUE(reader.body(body, 1));
    const RequestRecord record = reader.end(HttpEnd::kDone, "", 2);
    EXPECT_EQ(record.failure, "http 429");
    EXPECT_EQ(record.message, "queue full");
  }
}

TEST(AnswerReader, LongMessagesAreShortened) {
  AnswerReader reader(0);
  reader.head(500, "text/html");
  std::string body;
  for (int i = 0; i < 1000; ++i) {
    body += "ä";
  }
  reader.body(body, 1);
  const RequestRecord record = reader.end(HttpEnd::kDone, "", 2);
  EXPECT_EQ(record.message, body.substr(0, 300) + "…");
  // Within a character.
  AnswerReader other(0);
  other.head(500, "text/html");
  other.body("x" + body, 1);
  EXPECT_EQ(other.end(HttpEnd::kDone, "", 2).message, "x" + body.substr(0, 298) + "…");
}

TEST(AnswerReader, AnEndlessRefusalIsNotReadToItsEnd) {
  AnswerReader reader(0);
  reader.head(500, "text/html");
  int pieces = 0;
  while (pieces < 1000 && reader.body(std::string(1 << 10, 'x'), 1)) {
    ++pieces;
  }
  EXPECT_LT(pieces, 100);
  EXPECT_EQ(reader.end(HttpEnd::kStopped, "", 2).failure, "http 500");
}

TEST(AnswerReader, WhatIsNoStreamOfEventsIsMalformed) {
  AnswerReader reader(0);
  reader.head(200, "application/json");
  EXPECT_FALSE(reader.body("{}", 1));
  EXPECT_EQ(reader.end(HttpEnd::kStopped, "", 2).failure, "malformed");
  EXPECT_EQ(read(event("{")).failure, "malformed");
  EXPECT_EQ(read("garbage\n\n").failure, "closed");
}

TEST(AnswerReader, AnErrorWithinTheStreamIsAFailure) {
  const RequestRecord record =
      read(text_event("a") + event(R"({"error": {"message": "out of memory"}})") + kDone);
  EXPECT_EQ(record.failure, "error event");
  EXPECT_THAT(record.message, HasSubstr("out of memory"));
}

TEST(AnswerReader, AnAnswerWithoutTextIsAFailure) {
  EXPECT_EQ(read(kFinish + kUsage + kDone).failure, "empty");
}

TEST(AnswerReader, OddValuesAreNotBelieved) {
  const RequestRecord record =
      read(text_event("a") +
           event(R"({"choices": "x", "usage": {"prompt_tokens": "y",)"
                 R"("completion_tokens": -7, "prompt_tokens_details": null}})") +
           event(R"([1])") + event(R"({"choices": [3, {"delta": 4}], "usage": null})") + kDone);
  EXPECT_TRUE(record.complete) << record.message;
  EXPECT_EQ(record.prompt_tokens, -1);
  EXPECT_EQ(record.tokens(), 1);
  EXPECT_THAT(record.gaps, IsEmpty());
}

}  // namespace
}  // namespace mm
