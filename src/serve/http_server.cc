#include "serve/http_server.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <cstring>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "base/thread_name.h"
#include "serve/http_session.h"

namespace mm {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Protocol = asio::generic::stream_protocol;
using Acceptor = asio::basic_socket_acceptor<Protocol>;

asio::ssl::context make_tls(const HttpServerOptions& options) {
  asio::ssl::context tls(asio::ssl::context::tls_server);
  error_code error;
  tls.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1, error);
  if (!error) {
    tls.use_certificate_chain_file(options.tls_cert, error);
  }
  if (error) {
    bad_input("{}: {}, expected a PEM certificate (--tls-cert)", options.tls_cert, error.message());
  }
  tls.use_private_key_file(options.tls_key, asio::ssl::context::pem, error);
  if (error) {
    bad_input("{}: {}, expected the certificate's PEM key (--tls-key)", options.tls_key,
              error.message());
  }
  return tls;
}

}  // namespace

struct HttpServer::Impl {
  Impl(const HttpServerOptions& options, HttpHandler handler, HttpAdmission admit)
      : shared(std::make_shared<HttpSessionContext>()),
        strand(asio::make_strand(io)),
        acceptor(strand) {
    shared->options = options;
    shared->handler = std::move(handler);
    shared->admit = std::move(admit);
    if (options.tls_cert.empty() != options.tls_key.empty()) {
      bad_input("--tls-cert and --tls-key belong together, found one of them");
    }
    if (!options.tls_cert.empty()) {
      tls.emplace(make_tls(options));
    }
    listen();
    accept();
    for (int i = 0; i < options.threads; ++i) {
      threads.emplace_back([this, i] {
        name_this_thread("http " + std::to_string(i));
        io.run();
      });
    }
  }
  ~Impl() {
    io.stop();
    for (std::thread& thread : threads) {
      thread.join();
    }
    if (!shared->options.unix_socket.empty()) {
      ::unlink(shared->options.unix_socket.c_str());
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  Protocol::endpoint endpoint() {
    const HttpServerOptions& options = shared->options;
    if (!options.unix_socket.empty()) {
      remove_stale_socket();
      try {
        return asio::local::stream_protocol::endpoint(options.unix_socket);
      } catch (const boost::system::system_error& error) {
        bad_input("{}: {} (--unix-socket)", options.unix_socket, error.code().message());
      }
    }
    asio::ip::tcp::resolver resolver(io);
    error_code error;
    const auto found = resolver.resolve(options.host, std::to_string(options.port),
                                        asio::ip::resolver_base::passive, error);
    if (error || found.empty()) {
      bad_input("--host {}: {}, expected an address of this machine", options.host,
                error.message());
    }
    return found.begin()->endpoint();
  }

  /// A socket that a killed server left behind; nothing else is removed.
  void remove_stale_socket() const {
    const std::string& path = shared->options.unix_socket;
    struct stat status {};
    if (lstat(path.c_str(), &status) != 0 || !S_ISSOCK(status.st_mode)) {
      return;
    }
    asio::io_context probe_io;
    asio::local::stream_protocol::socket probe(probe_io);
    error_code error;
    probe.connect(asio::local::stream_protocol::endpoint(path), error);
    if (!error) {
      raise(ErrorKind::kIo, "{}: another server listens there (--unix-socket)", path);
    }
    ::unlink(path.c_str());
  }

  void listen() {
    const Protocol::endpoint where = endpoint();
    error_code error;
    acceptor.open(where.protocol(), error);
    if (!error && shared->options.unix_socket.empty()) {
      acceptor.set_option(asio::socket_base::reuse_address(true), error);
    }
    if (!error) {
      acceptor.bind(where, error);
    }
    if (!error && !shared->options.unix_socket.empty() &&
        ::chmod(shared->options.unix_socket.c_str(), S_IRUSR | S_IWUSR) != 0) {
      error = error_code(errno, boost::system::system_category());
    }
    if (!error) {
      acceptor.listen(asio::socket_base::max_listen_connections, error);
    }
    if (error) {
      const std::string& path = shared->options.unix_socket;
      raise(ErrorKind::kIo, "cannot listen on {}: {}",
            path.empty() ? fmt::format("{}:{}", shared->options.host, shared->options.port) : path,
            error.message());
    }
    find_port();
  }

  void find_port() {
    const Protocol::endpoint bound = acceptor.local_endpoint();
    if (bound.protocol().family() == AF_INET || bound.protocol().family() == AF_INET6) {
      asio::ip::tcp::endpoint address;
      std::memcpy(address.data(), bound.data(), bound.size());
      address.resize(bound.size());
      port = address.port();
    }
  }

  void accept() {
    const HttpStrand own = asio::make_strand(io);
    acceptor.async_accept(asio::any_io_executor(own),
                          [this, own](error_code error, HttpSocket socket) {
                            on_accept(error, std::move(socket), own);
                          });
  }
  void on_accept(error_code error, HttpSocket socket, const HttpStrand& own) {
    if (error == asio::error::operation_aborted || shared->draining) {
      return;
    }
    if (!error) {
      if (shared->options.unix_socket.empty()) {
        // What is written is what is to be sent: an event must not wait for the one before to be
        // acknowledged, which clients delay by up to 40 ms.
        error_code ignored;
        socket.set_option(asio::ip::tcp::no_delay(true), ignored);
      }
      if (shared->connections >= shared->options.max_connections) {
        refuse_http_session(std::move(socket), own, shared);
      } else {
        start_http_session(std::move(socket), own, shared, tls ? &*tls : nullptr);
      }
      accept();
      return;
    }
    // Out of file handles, for example: what is being served goes on, new clients wait.
    log_warning("accept: {}", error.message());
    pause.expires_after(kHttpTick);
    pause.async_wait([this](error_code stopped) {
      if (!stopped) {
        accept();
      }
    });
  }

  std::shared_ptr<HttpSessionContext> shared;
  std::optional<asio::ssl::context> tls;
  asio::io_context io;
  HttpStrand strand;
  Acceptor acceptor;
  asio::steady_timer pause{acceptor.get_executor()};
  uint16_t port = 0;
  std::vector<std::thread> threads;
};

HttpServer::HttpServer(const HttpServerOptions& options, HttpHandler handler, HttpAdmission admit)
    : impl_(std::make_unique<Impl>(options, std::move(handler), std::move(admit))) {}

HttpServer::~HttpServer() = default;

uint16_t HttpServer::port() const {
  return impl_->port;
}

std::string HttpServer::url() const {
  const HttpServerOptions& options = impl_->shared->options;
  if (!options.unix_socket.empty()) {
    return "unix:" + options.unix_socket;
  }
  const bool is_v6 = options.host.find(':') != std::string::npos;
  return fmt::format("{}://{}:{}", options.tls_cert.empty() ? "http" : "https",
                     is_v6 ? "[" + options.host + "]" : options.host, impl_->port);
}

void HttpServer::drain() {
  impl_->shared->draining = true;
  asio::post(impl_->strand, [this] {
    error_code ignored;
    impl_->acceptor.close(ignored);
  });
}

int HttpServer::open_connections() const {
  return impl_->shared->connections;
}

}  // namespace mm
