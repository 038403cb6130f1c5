#include "serve/event_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

namespace mm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// The events of a text that comes in pieces of `step` bytes.
std::vector<std::string> events(std::string_view text, size_t step = 1 << 20) {
  EventStream stream;
  std::vector<std::string> result;
  for (size_t begin = 0; begin < text.size(); begin += step) {
    stream.push(text.substr(begin, step),
                [&](std::string_view data) { result.emplace_back(data); });
  }
  return result;
}

TEST(EventStream, ReadsDataOfEvents) {
  EXPECT_THAT(events("data: one\n\ndata: two\n\n"), ElementsAre("one", "two"));
}

TEST(EventStream, JoinsLinesAndKeepsAllButOneSpace) {
  EXPECT_THAT(events("data:  a\ndata:b\ndata\n\n"), ElementsAre(" a\nb\n"));
}

TEST(EventStream, PassesOverCommentsOtherFieldsAndEmptyEvents) {
  EXPECT_THAT(events(": keep-alive\n\nevent: x\nid: 1\nretry: 5\ndatum: y\n\n\n\n"), IsEmpty());
  EXPECT_THAT(events("event: x\n: z\ndata: y\nid\n\n"), ElementsAre("y"));
}

TEST(EventStream, AnEventWithAnEmptyDataLineIsOne) {
  EXPECT_THAT(events("data:\n\n"), ElementsAre(""));
}

TEST(EventStream, LinesEndInThreeWays) {
  EXPECT_THAT(events("data: a\r\n\r\ndata: b\r\rdata: c\n\r\ndata: d\r\n\n"),
              ElementsAre("a", "b", "c", "d"));
}

TEST(EventStream, AByteOrderMarkIsNoPartOfTheFirstLine) {
  EXPECT_THAT(events("\xEF\xBB\xBF"
                     "data: a\n\n"),
              ElementsAre("a"));
}

TEST(EventStream, AnEventThatIsCutOffIsNone) {
  EXPECT_THAT(events("data: a\n\ndata: b\n"), ElementsAre("a"));
}

TEST(EventStream, CutsDoNotMatter) {
  const std::string text =
      "\xEF\xBB\xBF: hello\r\ndata: {\"a\": 1}\r\n\r\ndata: x\rdata: y\r\r\ndata: [DONE]\n\n";
  const std::vector<std::string> whole = events(text);
  EXPECT_THAT(whole, ElementsAre("{\"a\": 1}", "x\ny", "[DONE]"));
  for (size_t step = 1; step < text.size(); ++step) {
    EXPECT_EQ(events(text, step), whole) << step;
  }
}

TEST(EventStream, AnEventHasALimit) {
  EventStream stream(8);
  const auto ignore = [](std::string_view) {};
  stream.push("data: ab\n", ignore);
  stream.push("data:", ignore);
  try {
    stream.push("123", ignore);
    FAIL() << "nothing thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kTooLarge);
  }
}

}  // namespace
}  // namespace mm
