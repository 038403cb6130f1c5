/// The HTTP server: sockets, TLS, limits, keep-alive, streams. Boost.Beast stays behind this
/// header.
///
/// Goals: no thread per connection; every wait has a limit; a client that goes or stops reading
/// costs nothing for long. Non-goals: HTTP/2, WebSockets, multipart bodies.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "serve/http.h"

namespace mm {

struct HttpServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 8080;     ///< 0: any free one
  std::string unix_socket;  ///< not empty: listen there and nowhere else
  std::string tls_cert;     ///< PEM files; both or neither
  std::string tls_key;
  int threads = 2;
  int max_connections = 1024;
  int64_t max_header_bytes = 64 << 10;
  int64_t max_body_bytes = 64 << 20;
  int64_t max_unread_bytes = 4 << 20;  ///< of a stream; a client that leaves more is dropped
  std::chrono::milliseconds idle_timeout{60000};   ///< between requests, and for headers to arrive
  std::chrono::milliseconds body_timeout{60000};   ///< for a body to arrive
  std::chrono::milliseconds write_timeout{30000};  ///< without a byte taken by the client
  std::chrono::milliseconds heartbeat{15000};  ///< silence after which a stream gets its heartbeat
  std::chrono::milliseconds request_timeout{600000};  ///< for an answer to end
};

class HttpServer {
 public:
  /// Listens and serves from now on. `handler` is called by the server's threads and must not wait;
  /// what it throws becomes a 500. Throws kBadInput for a host or certificate that cannot be used,
  /// kIo when the address is taken.
  /// `admit`, if there is one, is asked before a body is read; what it refuses costs no memory.
  HttpServer(const HttpServerOptions& options, HttpHandler handler, HttpAdmission admit = {});
  /// Closes all connections.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  uint16_t port() const;    ///< the port that was bound; 0 for a UNIX socket
  std::string url() const;  ///< "http://127.0.0.1:8080", or "unix:" and a path

  /// Takes no more connections and closes idle ones; answers under way go on.
  void drain();
  int open_connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mm
