// Any bytes sent to a server get no answer or answers of HTTP/1.1, and the server goes on serving.
// A real server behind a UNIX socket: the parser, the limits, the router and the closing of
// connections are those of the program.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "serve/http_server.h"
#include "serve/router.h"

namespace {

constexpr int kPatienceMs = 20000;  // for a machine under load; no input needs it

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

mm::Router make_router() {
  mm::Router router({.api_keys = {"key"}, .cors_origin = "*"});
  const auto echo = [](const mm::HttpRequest& request,
                       const std::shared_ptr<mm::Exchange>& exchange) {
    mm::HttpResponse response;
    response.body = request.method + request.path + request.query + request.body;
    for (const mm::HttpHeader& header : request.headers) {
      response.body += header.name + header.value;
    }
    exchange->respond(response);
  };
  router.add("GET", "/open", echo, true);
  router.add("POST", "/open", echo, true);
  router.add("POST", "/closed/", echo);
  router.add(
      "GET", "/stream",
      [](const mm::HttpRequest& request, const std::shared_ptr<mm::Exchange>& exchange) {
        exchange->begin({.content_type = "text/plain", .body = request.query});
        exchange->write(request.body);
        exchange->finish();
      },
      true);
  return router;
}

/// Lives as long as the process: its threads must not outlive what they use.
const std::string& server_path() {
  static const std::string kPath = "/tmp/http_server_fuzz." + std::to_string(getpid());
  static const mm::Router kRouter = make_router();
  static const std::unique_ptr<mm::HttpServer> kServer = [] {
    mm::HttpServerOptions options;
    options.unix_socket = kPath;
    options.threads = 1;
    options.max_header_bytes = 2000;
    options.max_body_bytes = 4000;
    return std::make_unique<mm::HttpServer>(
        options,
        [](const mm::HttpRequest& request, const std::shared_ptr<mm::Exchange>& exchange) {
          kRouter.handle(request, exchange);
        },
        [](const mm::HttpRequest& request) { return kRouter.admit(request); });
  }();
  return kPath;
}

/// Repeats a call that a signal interrupted: libFuzzer's timer does so every few seconds.
template <typename Call>
auto repeat_interrupted(Call call) {
  while (true) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) {
      return result;
    }
  }
}

/// Sends all and reads until the server closes. The server may close before it has read all.
std::string talk(std::string_view bytes) {
  const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, server_path().c_str(), sizeof(address.sun_path) - 1);
  require(repeat_interrupted([&] {
            return connect(client, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
          }) == 0);
  while (!bytes.empty()) {
    const ssize_t sent =
        repeat_interrupted([&] { return send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
    if (sent <= 0) {
      break;
    }
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  shutdown(client, SHUT_WR);
  std::string answer;
  std::string buffer(4096, '\0');
  while (true) {
    pollfd wait{client, POLLIN, 0};
    // Else the server hangs.
    require(repeat_interrupted([&] { return poll(&wait, 1, kPatienceMs); }) == 1);
    const ssize_t count =
        repeat_interrupted([&] { return recv(client, buffer.data(), buffer.size(), 0); });
    if (count <= 0) {
      break;
    }
    answer.append(buffer, 0, static_cast<size_t>(count));
  }
  close(client);
  return answer;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // The server sends at most what its clients sent, a few times over: sockets hold that.
  const std::string answer =
      talk({reinterpret_cast<const char*>(data), std::min<size_t>(size, 8000)});
  require(answer.empty() || answer.rfind("HTTP/1.1 ", 0) == 0);
  return 0;
}
