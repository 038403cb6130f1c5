#include "serve/session_exchange.h"

#include <gtest/gtest.h>

#include <thread>

namespace mm {

namespace {

HttpRequest request(const char* method = "GET") {
  HttpRequest result;
  result.method = method;
  result.path = "/x";
  result.id = "7";
  return result;
}

struct SessionExchangeTest : testing::Test {
  int wakes = 0;
  std::function<void()> wake = [this] { ++wakes; };
};

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

TEST_F(SessionExchangeTest, AnswersWholeOnceAndOnly) {
  SessionExchange exchange(request(), {}, wake);
  exchange.respond({.body = "one"});
  exchange.respond({.body = "two"});
  exchange.begin({.body = "three"});
  const std::string sent = exchange.take();
  EXPECT_TRUE(ends_with(sent, "\r\n\r\none")) << sent;
  EXPECT_NE(sent.find("X-Request-Id: 7\r\n"), std::string::npos) << sent;
  EXPECT_TRUE(exchange.finished());
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(exchange.take(), "");
}

TEST_F(SessionExchangeTest, WhatIsHeldLeavesTogether) {
  SessionExchange exchange(request(), {}, wake);
  exchange.begin({});
  exchange.take();
  exchange.hold();
  exchange.write("a");
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(exchange.take(), "");
  exchange.finish();
  EXPECT_FALSE(exchange.finished());  // or the session would not come back for the rest
  EXPECT_EQ(wakes, 1);
  exchange.release();
  EXPECT_EQ(wakes, 2);
  EXPECT_EQ(exchange.take(), "1\r\na\r\n0\r\n\r\n");
  EXPECT_TRUE(exchange.finished());
}

TEST_F(SessionExchangeTest, WhatWasThereBeforeItWasHeldIsNotForgotten) {
  SessionExchange exchange(request(), {}, wake);
  exchange.begin({.body = "a"});
  exchange.hold();
  EXPECT_EQ(exchange.take(), "");  // the session comes for what it was woken for
  exchange.release();
  EXPECT_EQ(wakes, 2);
  EXPECT_TRUE(ends_with(exchange.take(), "1\r\na\r\n"));
}

TEST_F(SessionExchangeTest, NothingToReleaseWakesNobody) {
  SessionExchange exchange(request(), {}, wake);
  exchange.hold();
  exchange.release();
  EXPECT_EQ(wakes, 0);
  exchange.hold();
  exchange.write("a");
  exchange.go("gone");
  exchange.release();
  EXPECT_EQ(wakes, 0);
}

TEST_F(SessionExchangeTest, SendsNoBodyToHead) {
  SessionExchange exchange(request("HEAD"), {}, wake);
  exchange.respond({.body = "body"});
  const std::string sent = exchange.take();
  EXPECT_TRUE(ends_with(sent, "\r\n\r\n")) << sent;
  EXPECT_NE(sent.find("Content-Length: 4\r\n"), std::string::npos) << sent;
}

TEST_F(SessionExchangeTest, WakesOnceForAllThatIsWrittenBeforeItIsTaken) {
  SessionExchange exchange(request(), {}, wake);
  exchange.begin({});
  EXPECT_TRUE(exchange.write("ab"));
  EXPECT_TRUE(exchange.write("c"));
  EXPECT_EQ(wakes, 1);
  EXPECT_TRUE(ends_with(exchange.take(), "\r\n\r\n2\r\nab\r\n1\r\nc\r\n"));
  exchange.finish();
  EXPECT_EQ(wakes, 2);
  EXPECT_EQ(exchange.take(), "0\r\n\r\n");
  EXPECT_FALSE(exchange.write("late"));
}

TEST_F(SessionExchangeTest, EndsByClosingWhereChunksAreUnknown) {
  SessionExchange exchange(request(), {.keep_alive = true, .chunks = false}, wake);
  exchange.begin({});
  exchange.write("ab");
  exchange.finish();
  EXPECT_TRUE(ends_with(exchange.take(), "\r\n\r\nab"));
  EXPECT_FALSE(exchange.keep_alive());
}

TEST_F(SessionExchangeTest, DropsClientsThatLeaveTooMuchUnread) {
  SessionExchange exchange(request(), {.max_unread = 1000}, wake);
  exchange.begin({});
  EXPECT_TRUE(exchange.write(std::string(500, 'a')));
  EXPECT_FALSE(exchange.overflown());
  EXPECT_FALSE(exchange.write(std::string(500, 'a')));
  EXPECT_TRUE(exchange.overflown());
}

TEST_F(SessionExchangeTest, TellsOnceThatTheClientHasGone) {
  SessionExchange exchange(request(), {}, wake);
  int told = 0;
  exchange.begin({});
  exchange.on_gone([&] { ++told; });
  exchange.go("gone");
  exchange.go("gone");
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(exchange.write("x"));
  EXPECT_EQ(exchange.take(), "");
  exchange.on_gone([&] { ++told; });  // too late to wait: at once
  EXPECT_EQ(told, 2);
}

TEST_F(SessionExchangeTest, TellsNobodyOfAClientThatGoesAfterTheAnswer) {
  SessionExchange exchange(request(), {}, wake);
  int told = 0;
  exchange.on_gone([&] { ++told; });
  exchange.respond({.body = "x"});
  exchange.go("gone");
  EXPECT_EQ(told, 0);
}

TEST_F(SessionExchangeTest, BeatsOnlyInSilenceAndOnlyWhileAStreamRuns) {
  using std::chrono::hours;
  using std::chrono::nanoseconds;
  SessionExchange exchange(request(), {}, wake);
  exchange.beat(nanoseconds(-1));
  EXPECT_EQ(exchange.take(), "");  // no stream yet
  exchange.begin({.heartbeat = "beat"});
  exchange.take();
  exchange.beat(hours(1));
  EXPECT_EQ(exchange.take(), "");
  exchange.beat(nanoseconds(-1));
  EXPECT_EQ(exchange.take(), "4\r\nbeat\r\n");
  exchange.finish();
  exchange.take();
  exchange.beat(nanoseconds(-1));
  EXPECT_EQ(exchange.take(), "");
}

TEST_F(SessionExchangeTest, KeepsTheOrderOfWritersOfOtherThreads) {
  SessionExchange exchange(request(), {.chunks = false}, [] {});
  exchange.begin({});
  std::string taken = exchange.take();
  taken.clear();
  std::thread writer([&] {
    for (int i = 0; i < 1000; ++i) {
      exchange.write(std::to_string(i) + ",");
    }
    exchange.finish();
  });
  for (bool last = false; !last;) {
    last = exchange.finished();
    taken += exchange.take();
  }
  writer.join();
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    expected += std::to_string(i) + ",";
  }
  EXPECT_EQ(taken, expected);
}

}  // namespace mm
