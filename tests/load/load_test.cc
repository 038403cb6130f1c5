#include "load/load.h"

#include <gtest/gtest.h>

#include <mutex>

#include "load/arrivals.h"
#include "serve/http_server.h"

namespace mm {
namespace {

constexpr const char* kText = "data: {\"choices\": [{\"text\": \"a\"}]}\n\n";

std::vector<LoadRequest> requests(const std::vector<double>& due) {
  std::vector<LoadRequest> result;
  for (const double time : due) {
    result.push_back({{"POST", "/v1/completions", "{}"}, time});
  }
  return result;
}

/// A server that answers with one event, when it is let.
class SlowServer {
 public:
  SlowServer()
      : server_(options(), [this](const HttpRequest&, const auto& exchange) {
          exchange->begin({.content_type = "text/event-stream", .body = kText});
          const std::lock_guard lock(mutex_);
          waiting_.push_back(exchange);
        }) {}
  /// Ends all answers that wait.
  int64_t release() {
    const std::lock_guard lock(mutex_);
    for (const auto& exchange : waiting_) {
      exchange->write("data: [DONE]\n\n");
      exchange->finish();
    }
    const auto count = static_cast<int64_t>(waiting_.size());
    waiting_.clear();
    return count;
  }
  HttpClientOptions client() const {
    HttpClientOptions result;
    result.url = parse_http_url("http://127.0.0.1:" + std::to_string(server_.port()));
    return result;
  }

 private:
  static HttpServerOptions options() {
    HttpServerOptions result;
    result.port = 0;
    return result;
  }
  std::mutex mutex_;
  std::vector<std::shared_ptr<Exchange>> waiting_;
  HttpServer server_;
};

TEST(Load, SendsNothingBeforeItIsDue) {
  SlowServer server;
  HttpClient client(server.client());
  const std::vector<double> due = arrival_times(Arrivals::kFixed, 50, 6, 0);
  const LoadResult result = run_load(client, requests(due), 0, [&](int64_t) {
    server.release();
    return true;
  });
  ASSERT_EQ(result.records.size(), due.size());
  for (size_t i = 0; i < due.size(); ++i) {
    const RequestRecord& record = result.records[i];
    EXPECT_TRUE(record.complete) << record.failure << record.message;
    EXPECT_EQ(record.due, due[i]);
    EXPECT_GE(record.sent, record.due);
    EXPECT_GE(record.first, record.sent);
    EXPECT_GE(record.end, record.first);
  }
  EXPECT_GE(result.seconds, 0.1);  // from 0 to the sending of the last
  EXPECT_FALSE(result.stopped);
}

TEST(Load, KeepsSoManyUnderWay) {
  SlowServer server;
  HttpClient client(server.client());
  int64_t most = 0;
  const LoadResult result =
      run_load(client, requests(std::vector<double>(10, 0.0)), 3, [&](int64_t) {
        most = std::max(most, server.release());
        return true;
      });
  EXPECT_EQ(result.records.size(), 10);
  EXPECT_EQ(result.peak, 3);
  EXPECT_LE(most, 3);
}

TEST(Load, WithoutALimitAllRunAtOnce) {
  SlowServer server;
  HttpClient client(server.client());
  const LoadResult result =
      run_load(client, requests(std::vector<double>(10, 0.0)), 0, [&](int64_t) {
        server.release();
        return true;
      });
  EXPECT_EQ(result.peak, 10);
}

TEST(Load, StopsWhenItIsTold) {
  SlowServer server;
  HttpClient client(server.client());
  int asked = 0;
  const LoadResult result =
      run_load(client, requests({0, 0, 1000}), 0, [&](int64_t) { return ++asked < 2; });
  EXPECT_TRUE(result.stopped);
  ASSERT_EQ(result.records.size(), 2);  // the third was not sent
  for (const RequestRecord& record : result.records) {
    EXPECT_FALSE(record.complete);
    EXPECT_EQ(record.failure, "");
  }
  // The client can be used again, and nothing of the first load reaches the second.
  const LoadResult second = run_load(client, requests({0}), 0, [&](int64_t) {
    server.release();
    return true;
  });
  EXPECT_TRUE(second.records.at(0).complete) << second.records[0].message;
}

TEST(Load, OfNothingEndsAtOnce) {
  SlowServer server;
  HttpClient client(server.client());
  const LoadResult result = run_load(client, {}, 0, [](int64_t) { return true; });
  EXPECT_TRUE(result.records.empty());
  EXPECT_EQ(result.seconds, 0);
}

}  // namespace
}  // namespace mm
