/// One connection of the HTTP server: requests read with Boost.Beast, answers written, all waits
/// limited. Included by http_server.cc alone.
#pragma once

#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <memory>

#include "serve/http_channel.h"
#include "serve/http_server.h"

namespace mm {

using HttpStrand = boost::asio::strand<boost::asio::io_context::executor_type>;

/// How often a connection looks whether its time is up or its client has gone.
constexpr std::chrono::milliseconds kHttpTick{200};

/// What sessions share; outlives them.
struct HttpSessionContext {
  HttpServerOptions options;
  HttpHandler handler;
  HttpAdmission admit;
  std::atomic<bool> draining = false;
  std::atomic<int> connections = 0;
};

/// Serves a connection until it ends or the io_context does; `socket` runs its handlers on
/// `strand`. `tls`, null for none, must outlive it.
void start_http_session(HttpSocket socket, HttpStrand strand,
                        std::shared_ptr<HttpSessionContext> context,
                        boost::asio::ssl::context* tls);
/// Over the limit of connections: answers 503 and closes.
void refuse_http_session(HttpSocket socket, HttpStrand strand,
                         std::shared_ptr<HttpSessionContext> context);

}  // namespace mm
