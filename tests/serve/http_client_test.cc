/// The client over real sockets, against our own server and against servers that misbehave.
#include "serve/http_client.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <thread>

#include "base/error.h"
#include "serve/http_server.h"

namespace mm {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;

HttpServerOptions server_options() {
  HttpServerOptions options;
  options.port = 0;
  return options;
}
HttpClientOptions client_options(uint16_t port) {
  HttpClientOptions options;
  options.url = parse_http_url("http://127.0.0.1:" + std::to_string(port));
  return options;
}

void echo(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  HttpResponse response;
  response.content_type = "text/plain";
  response.body = request.method + " " + request.path + " [" + request.body + "] " +
                  std::string(request.header("Authorization"));
  exchange->respond(std::move(response));
}

/// Answers each connection with fixed bytes once a request has begun to come, and closes it.
class RawServer {
 public:
  explicit RawServer(std::string answer)
      : answer_(std::move(answer)), socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket_, generic, size) != 0 || ::listen(socket_, 16) != 0 ||
        ::getsockname(socket_, generic, &size) != 0) {
      throw std::runtime_error("cannot listen");
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~RawServer() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }
  RawServer(const RawServer&) = delete;
  RawServer& operator=(const RawServer&) = delete;
  uint16_t port() const { return port_; }

 private:
  void serve() const {
    for (int peer = ::accept(socket_, nullptr, nullptr); peer >= 0;
         peer = ::accept(socket_, nullptr, nullptr)) {
      char buffer[65536];
      if (::recv(peer, buffer, sizeof(buffer), 0) > 0) {
        ::send(peer, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      }
      ::close(peer);
    }
  }
  std::string answer_;
  int socket_;
  uint16_t port_ = 0;
  std::thread thread_;
};

HttpReply fetch_raw(const std::string& answer) {
  const RawServer server(answer);
  HttpClient client(client_options(server.port()));
  return client.fetch({"GET", "/", ""});
}

/// Writes down what it hears, and wants no more after some pieces.
class Listener final : public HttpReceiver {
 public:
  explicit Listener(size_t most_pieces = 1000) : most_(most_pieces) {}
  void on_head(int status, std::string_view content_type) override {
    heard.push_back(std::to_string(status) + " " + std::string(content_type));
  }
  bool on_body(std::string_view piece) override {
    heard.emplace_back(piece);
    return ++pieces_ < most_;
  }
  void on_end(HttpEnd how, const std::string& message) override {
    end = how;
    heard.push_back("end: " + message);
  }
  std::vector<std::string> heard;
  std::optional<HttpEnd> end;

 private:
  size_t most_;
  size_t pieces_ = 0;
};

TEST(HttpClient, FetchesWithHeadersAndBody) {
  HttpServer server(server_options(), echo);
  HttpClientOptions options = client_options(server.port());
  options.url.base = "/base";
  options.headers.push_back({"Authorization", "Bearer key"});
  HttpClient client(options);
  const HttpReply reply = client.fetch({"POST", "/path", "{}"});
  EXPECT_EQ(reply.end, HttpEnd::kDone) << reply.message;
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.content_type, "text/plain");
  EXPECT_EQ(reply.body, "POST /base/path [{}] Bearer key");
}

TEST(HttpClient, UsesAConnectionAgain) {
  HttpServer server(server_options(), echo);
  HttpClient client(client_options(server.port()));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.fetch({"GET", "/", ""}).status, 200);
    EXPECT_EQ(server.open_connections(), 1);
  }
}

TEST(HttpClient, DoesNotTrustAConnectionThatTheServerHasLeft) {
  // Says that the connection stays open, and closes it nevertheless.
  const RawServer server("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  HttpClient client(client_options(server.port()));
  for (int i = 0; i < 20; ++i) {
    const HttpReply reply = client.fetch({"GET", "/", ""});
    EXPECT_EQ(reply.body, "ok") << reply.message;
  }
}

TEST(HttpClient, HandsPiecesOnAsTheyCome) {
  std::shared_ptr<Exchange> stream;
  std::mutex mutex;
  HttpServer server(server_options(),
                    [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
                      const std::lock_guard lock(mutex);
                      stream = exchange;
                      exchange->begin({.content_type = "text/event-stream", .body = "first"});
                    });
  HttpClient client(client_options(server.port()));
  const auto listener = std::make_shared<Listener>();
  client.send({"GET", "/", ""}, listener);
  // The second piece is written when the first has been heard: it cannot have waited for the end.
  const std::function<void()> look = [&] {
    if (listener->heard.size() < 2) {
      client.at(HttpClient::Clock::now() + milliseconds(1), look);
      return;
    }
    const std::lock_guard lock(mutex);
    stream->write("second");
    stream->finish();
  };
  look();
  client.run();
  EXPECT_THAT(listener->heard, ElementsAre("200 text/event-stream", "first", "second", "end: "));
  EXPECT_EQ(listener->end, HttpEnd::kDone);
}

TEST(HttpClient, ManyCallsRunAtOnce) {
  constexpr size_t kCalls = 100;
  std::vector<std::shared_ptr<Exchange>> waiting;
  std::mutex mutex;
  HttpServer server(server_options(),
                    [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
                      const std::lock_guard lock(mutex);
                      waiting.push_back(exchange);
                      if (waiting.size() == kCalls) {  // none is answered before all have come
                        for (const auto& each : waiting) {
                          each->respond({.body = "x"});
                        }
                      }
                    });
  HttpClient client(client_options(server.port()));
  std::vector<std::shared_ptr<Listener>> listeners;
  for (size_t i = 0; i < kCalls; ++i) {
    listeners.push_back(std::make_shared<Listener>());
    client.send({"GET", "/", ""}, listeners.back());
    EXPECT_TRUE(listeners.back()->heard.empty());  // not from within send()
  }
  client.run();
  for (const auto& listener : listeners) {
    EXPECT_EQ(listener->end, HttpEnd::kDone);
  }
}

TEST(HttpClient, AReceiverMayHaveEnough) {
  HttpServer server(server_options(),
                    [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
                      exchange->begin({.body = "first"});  // and never ends
                    });
  HttpClient client(client_options(server.port()));
  const auto listener = std::make_shared<Listener>(1);
  client.send({"GET", "/", ""}, listener);
  client.run();
  EXPECT_EQ(listener->end, HttpEnd::kStopped);
}

TEST(HttpClient, CancelEndsWhatRuns) {
  HttpServer server(server_options(),
                    [](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
                      exchange->begin({.body = "first"});
                    });
  HttpClient client(client_options(server.port()));
  const auto listener = std::make_shared<Listener>();
  client.send({"GET", "/", ""}, listener);
  client.cancel();
  EXPECT_EQ(listener->end, HttpEnd::kStopped);
  client.run();
  EXPECT_EQ(listener->heard.size(), 1);  // the end, once
}

TEST(HttpClient, SilenceHasALimit) {
  std::vector<std::shared_ptr<Exchange>> kept;
  HttpServer server(server_options(),
                    [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
                      kept.push_back(exchange);
                    });
  HttpClientOptions options = client_options(server.port());
  options.timeout = milliseconds(50);
  HttpClient client(options);
  const HttpReply reply = client.fetch({"GET", "/", ""});
  EXPECT_EQ(reply.end, HttpEnd::kTimeout);
  EXPECT_THAT(reply.message, HasSubstr("50 ms"));
}

TEST(HttpClient, NobodyListens) {
  uint16_t port = 0;
  {
    const RawServer gone("");
    port = gone.port();
  }
  HttpClient client(client_options(port));
  const HttpReply reply = client.fetch({"GET", "/", ""});
  EXPECT_EQ(reply.end, HttpEnd::kRefused);
  EXPECT_THAT(reply.message, HasSubstr("127.0.0.1:" + std::to_string(port)));
}

TEST(HttpClient, TellsHowAnAnswerWasSpoilt) {
  EXPECT_EQ(fetch_raw("").end, HttpEnd::kClosed);
  EXPECT_EQ(fetch_raw("HTTP/1.1 200 OK\r\nContent-Le").end, HttpEnd::kClosed);
  EXPECT_EQ(fetch_raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").end, HttpEnd::kClosed);
  EXPECT_EQ(fetch_raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").end,
            HttpEnd::kClosed);
  EXPECT_EQ(fetch_raw("SSH-2.0-OpenSSH_9.2\r\n").end, HttpEnd::kMalformed);
  EXPECT_EQ(fetch_raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n").end,
            HttpEnd::kMalformed);
  // Without a length the end of the connection is that of the body.
  const HttpReply whole = fetch_raw("HTTP/1.0 200 OK\r\n\r\nabc");
  EXPECT_EQ(whole.end, HttpEnd::kDone) << whole.message;
  EXPECT_EQ(whole.body, "abc");
}

TEST(HttpClient, HostsThatDoNotExistAreRefusedAtOnce) {
  HttpClientOptions options;
  options.url = parse_http_url("http://no.such.host.invalid");
  try {
    HttpClient client(options);
    FAIL() << "nothing thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_THAT(error.what(), HasSubstr("no.such.host.invalid"));
  }
}

}  // namespace
}  // namespace mm
