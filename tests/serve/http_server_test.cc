/// The server over real sockets, with clients that behave and clients that do not.
#include "serve/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace mm {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// A client's end of a connection.
class Client {
 public:
  explicit Client(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connect_to(reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }
  Client(const in6_addr& host, uint16_t port) : socket_(::socket(AF_INET6, SOCK_STREAM, 0)) {
    sockaddr_in6 address{};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(port);
    address.sin6_addr = host;
    connect_to(reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }
  explicit Client(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    connect_to(reinterpret_cast<sockaddr*>(&address), sizeof(address));
  }
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void close() {
    if (socket_ >= 0) {
      ::close(socket_);
      socket_ = -1;
    }
  }
  void send(const std::string& text) const {
    ASSERT_EQ(::send(socket_, text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  /// Sends one byte, if the connection still takes any.
  bool trickle() const { return ::send(socket_, "x", 1, MSG_NOSIGNAL) == 1; }
  /// What comes until `end` has come, or until the server closes.
  std::string receive(const std::string& end) const {
    std::string text;
    char buffer[4096];
    while (end.empty() || text.find(end) == std::string::npos) {
      const ssize_t count = ::recv(socket_, buffer, sizeof(buffer), 0);
      if (count <= 0) {
        break;
      }
      text.append(buffer, static_cast<size_t>(count));
    }
    return text;
  }

 private:
  void connect_to(const sockaddr* address, socklen_t size) const {
    if (::connect(socket_, address, size) != 0) {
      throw std::runtime_error("cannot connect");
    }
  }
  int socket_;
};

void echo(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  HttpResponse response;
  response.content_type = "text/plain";
  response.body = request.method + " " + request.path + " [" + request.body + "]";
  exchange->respond(std::move(response));
}

HttpServerOptions options() {
  HttpServerOptions result;
  result.port = 0;
  return result;
}

TEST(HttpServer, AnswersOneRequestAfterTheOtherOnAConnection) {
  HttpServer server(options(), echo);
  const Client client(server.port());
  client.send("GET /a%20b?q=1 HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string first = client.receive("[]");
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(first, HasSubstr("X-Request-Id: "));
  EXPECT_THAT(first, HasSubstr("GET /a b []"));
  client.send("POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo");
  client.send(
      "dyPOST /d HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
  const std::string others = client.receive("[hi]");
  EXPECT_THAT(others, HasSubstr("POST /c [body]"));
  EXPECT_THAT(others, HasSubstr("POST /d [hi]"));
  client.send("HEAD /e HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string head = client.receive("");
  EXPECT_THAT(head, HasSubstr("Content-Length: 10\r\n"));
  EXPECT_THAT(head, testing::EndsWith("\r\n\r\n"));
}

TEST(HttpServer, RefusesWhatIsTooLargeOrNotHttp) {
  HttpServerOptions small = options();
  small.max_body_bytes = 10;
  small.max_header_bytes = 1024;
  HttpServer server(small, echo);
  const auto answer = [&](const std::string& text) {
    const Client client(server.port());
    client.send(text);
    return client.receive("");
  };
  EXPECT_THAT(answer("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nelevenbytes"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "b\r\nelevenbytes\r\n0\r\n\r\n"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer("GET / HTTP/1.1\r\nX: " + std::string(2000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(answer("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(answer("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

// Where the head was read: in the form of the path, with the id that the log has.
TEST(HttpServer, RefusesLongBodiesInTheFormOfTheirPath) {
  HttpServerOptions small = options();
  small.max_body_bytes = 10;
  HttpServer server(small, echo);
  for (const char* rest : {"Content-Length: 11\r\n\r\nelevenbytes",
                           "Transfer-Encoding: chunked\r\n\r\nb\r\nelevenbytes\r\n0\r\n\r\n"}) {
    for (const auto& [path, type] : {std::pair{"/v1/messages", "request_too_large"},
                                     std::pair{"/v1/responses", "invalid_request_error"}}) {
      const Client client(server.port());
      client.send("POST " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n" + rest);
      const std::string answer = client.receive("");
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 "));
      EXPECT_THAT(answer, HasSubstr("X-Request-Id: "));
      EXPECT_THAT(answer, HasSubstr("\"type\":\"" + std::string(type) + "\""));
    }
  }
}

TEST(HttpServer, SaysContinueToThoseWhoAsk) {
  HttpServer server(options(), echo);
  const Client client(server.port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.receive("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("ab");
  EXPECT_THAT(client.receive("[ab]"), HasSubstr("[ab]"));
}

TEST(HttpServer, WhatIsNotAdmittedHasNoBodyRead) {
  HttpServer server(options(), echo, [](const HttpRequest& request) -> std::optional<HttpResponse> {
    if (request.path == "/open") {
      return std::nullopt;
    }
    return HttpResponse{.status = 401, .body = "no " + request.path};
  });
  const Client client(server.port());
  client.send("POST /open HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab");
  EXPECT_THAT(client.receive("[ab]"), HasSubstr("POST /open [ab]"));
  client.send(
      "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
      "Expect: 100-continue\r\n\r\n");
  const std::string refused = client.receive("");  // though no byte of the body was sent
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(refused, HasSubstr("Connection: close"));
  EXPECT_THAT(refused, testing::EndsWith("no /a"));
}

TEST(HttpServer, StreamsPiecesFromAnyThread) {
  std::thread worker;
  HttpServer server(options(), [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
    exchange->begin({.content_type = "text/event-stream"});
    worker = std::thread([exchange] {
      for (int i = 0; i < 100; ++i) {
        EXPECT_TRUE(exchange->write("data: x\n\n"));
      }
      exchange->finish();
    });
  });
  const Client client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string text = client.receive("0\r\n\r\n");
  worker.join();
  EXPECT_THAT(text, HasSubstr("Transfer-Encoding: chunked"));
  size_t events = 0;
  for (size_t at = 0; (at = text.find("9\r\ndata: x\n\n\r\n", at)) != std::string::npos; ++at) {
    ++events;
  }
  EXPECT_EQ(events, 100u);
}

TEST(HttpServer, SilentStreamsHaveAHeartbeat) {
  HttpServerOptions quick = options();
  quick.heartbeat = std::chrono::milliseconds(1);
  std::shared_ptr<Exchange> kept;
  HttpServer server(quick, [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
    kept = exchange;
    exchange->begin({.heartbeat = ": alive\n\n"});
  });
  const Client client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.receive(": alive"), HasSubstr(": alive"));
}

TEST(HttpServer, AClientOfHttp10GetsAStreamThatEndsByClosing) {
  HttpServer server(options(), [](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
    exchange->begin({});
    exchange->write("one");
    exchange->finish();
  });
  const Client client(server.port());
  client.send("GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.receive(""), testing::EndsWith("\r\n\r\none"));
}

TEST(HttpServer, TellsWhenTheClientHasGone) {
  std::promise<void> taken, gone;
  std::shared_ptr<Exchange> kept;
  HttpServer server(options(), [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
    kept = exchange;
    exchange->on_gone([&] { gone.set_value(); });
    taken.set_value();
  });
  Client client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nunread bytes do not hide the end");
  taken.get_future().wait();
  client.close();
  gone.get_future().wait();
  EXPECT_FALSE(kept->write("nobody reads this"));
}

TEST(HttpServer, DropsAClientThatDoesNotRead) {
  HttpServerOptions small = options();
  small.max_unread_bytes = 1 << 20;
  std::promise<void> gone;
  std::promise<std::shared_ptr<Exchange>> taken;
  HttpServer server(small, [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
    exchange->begin({});
    exchange->on_gone([&] { gone.set_value(); });
    taken.set_value(exchange);
  });
  const Client client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::shared_ptr<Exchange> exchange = taken.get_future().get();
  const std::string piece(64 << 10, 'x');
  while (exchange->write(piece)) {
  }
  gone.get_future().wait();
}

TEST(HttpServer, DropsAClientThatStopsReading) {
  HttpServerOptions hasty = options();
  hasty.write_timeout = std::chrono::milliseconds(50);
  hasty.max_unread_bytes = 1 << 30;
  std::promise<void> gone;
  HttpServer server(hasty, [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
    exchange->begin({});
    exchange->on_gone([&] { gone.set_value(); });
    exchange->write(std::string(64 << 20, 'x'));  // more than the sockets hold
  });
  const Client client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  gone.get_future().wait();
}

TEST(HttpServer, BytesThatTrickleInDoNotProlongItsPatience) {
  HttpServerOptions hasty = options();
  hasty.idle_timeout = std::chrono::milliseconds(50);
  hasty.body_timeout = std::chrono::milliseconds(50);
  HttpServer server(hasty, echo);
  for (const char* beginning :
       {"GET / HTTP/1.1\r\nX: ", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n"}) {
    const Client client(server.port());
    client.send(beginning);
    constexpr int kMost = 4000;  // 20 seconds at least
    int sent = 0;
    while (sent < kMost && client.trickle()) {
      ++sent;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_LT(sent, kMost) << beginning;
  }
}

TEST(HttpServer, AnAnswerThatTakesTooLongBecomes504) {
  HttpServerOptions hasty = options();
  hasty.request_timeout = std::chrono::milliseconds(50);
  std::promise<void> gone;
  std::shared_ptr<Exchange> kept;
  HttpServer server(hasty, [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
    kept = exchange;
    exchange->on_gone([&] { gone.set_value(); });
  });
  const Client client(server.port());
  client.send("GET /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::string answer = client.receive("");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 504 "));
  EXPECT_THAT(answer, HasSubstr("X-Request-Id: "));
  EXPECT_THAT(answer, HasSubstr("\"type\":\"timeout_error\""));
  gone.get_future().wait();
}

TEST(HttpServer, RefusesMoreConnectionsThanItsLimit) {
  HttpServerOptions one = options();
  one.max_connections = 1;
  HttpServer server(one, echo);
  const Client first(server.port());
  first.send("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
  first.receive("[]");
  EXPECT_THAT(Client(server.port()).receive(""), StartsWith("HTTP/1.1 503 "));
  first.send("GET /b HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(first.receive("[]"), HasSubstr("GET /b []"));
}

TEST(HttpServer, DrainingLetsAnswersEnd) {
  std::promise<std::shared_ptr<Exchange>> taken;
  HttpServer server(options(), [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
    taken.set_value(exchange);
  });
  const Client busy(server.port());
  const Client idle(server.port());
  busy.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::shared_ptr<Exchange> exchange = taken.get_future().get();
  server.drain();
  EXPECT_EQ(idle.receive(""), "");
  HttpResponse response;
  response.body = "late";
  exchange->respond(response);
  EXPECT_THAT(busy.receive(""), testing::EndsWith("late"));
}

TEST(HttpServer, AnswersThatOutliveItGoNowhere) {
  std::promise<std::shared_ptr<Exchange>> taken;
  std::atomic<bool> told = false;
  auto server = std::make_unique<HttpServer>(
      options(), [&](const HttpRequest&, const std::shared_ptr<Exchange>& exchange) {
        exchange->on_gone([&] { told = true; });
        taken.set_value(exchange);
      });
  const Client client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::shared_ptr<Exchange> exchange = taken.get_future().get();
  server.reset();
  EXPECT_TRUE(told);
  exchange->respond({});
  EXPECT_FALSE(exchange->write("x"));
}

TEST(HttpServer, WhatAHandlerThrowsIsA500) {
  HttpServer server(options(), [](const HttpRequest&, const std::shared_ptr<Exchange>&) {
    throw std::runtime_error("secret");
  });
  const Client client(server.port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = client.receive("");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(answer, testing::Not(HasSubstr("secret")));
}

TEST(HttpServer, ListensOnUnixSockets) {
  const std::string path = testing::TempDir() + "mm_http_" + std::to_string(getpid());
  HttpServerOptions local = options();
  local.unix_socket = path;
  {
    HttpServer server(local, echo);
    EXPECT_EQ(server.url(), "unix:" + path);
    const Client client(path);
    client.send("GET /u HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(client.receive("[]"), HasSubstr("GET /u []"));
    EXPECT_THROW(HttpServer(local, echo), Error);
  }
  EXPECT_NE(access(path.c_str(), F_OK), 0);
}

TEST(HttpServer, ListensOnAddressesOfIpv6) {
  const int probe = ::socket(AF_INET6, SOCK_STREAM, 0);
  sockaddr_in6 loopback{};
  loopback.sin6_family = AF_INET6;
  loopback.sin6_addr = in6addr_loopback;
  const bool has_v6 = ::bind(probe, reinterpret_cast<sockaddr*>(&loopback), sizeof(loopback)) == 0;
  ::close(probe);
  if (!has_v6) {
    GTEST_SKIP() << "this machine has no ::1";
  }
  HttpServerOptions v6 = options();
  v6.host = "::1";
  HttpServer server(v6, echo);
  EXPECT_EQ(server.url(), "http://[::1]:" + std::to_string(server.port()));
  const Client client(in6addr_loopback, server.port());
  client.send("GET /six HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.receive("[]"), HasSubstr("GET /six []"));
}

TEST(HttpServer, BadAddressesAndCertificatesAreRefused) {
  HttpServer first(options(), echo);
  HttpServerOptions wrong = options();
  wrong.port = first.port();
  EXPECT_THROW(HttpServer(wrong, echo), Error);
  wrong = options();
  wrong.tls_cert = "/nothing/here.pem";
  EXPECT_THROW(HttpServer(wrong, echo), Error);
  wrong.tls_key = "/nothing/key.pem";
  EXPECT_THROW(HttpServer(wrong, echo), Error);
}

}  // namespace
}  // namespace mm
