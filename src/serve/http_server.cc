#include "serve/http_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstring>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "serve/api_error.h"

namespace mm {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Protocol = asio::generic::stream_protocol;
using Socket = Protocol::socket;
using Acceptor = asio::basic_socket_acceptor<Protocol>;
using Strand = asio::strand<asio::io_context::executor_type>;

/// How often a connection looks whether its time is up or its client has gone.
constexpr std::chrono::milliseconds kTick{200};

/// A socket with or without TLS, chosen when it is made: one type for everything above.
class Channel {
 public:
  using executor_type = Socket::executor_type;  // NOLINT(readability-identifier-naming): asio's

  Channel(Socket socket, asio::ssl::context* tls) : socket_(std::move(socket)) {
    if (tls != nullptr) {
      tls_.emplace(socket_, *tls);
    }
  }
  executor_type get_executor() { return socket_.get_executor(); }
  bool has_tls() const { return tls_.has_value(); }

  template <typename Buffers, typename Handler>
  void async_read_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) {
      tls_->async_read_some(buffers, std::forward<Handler>(handler));
    } else {
      socket_.async_read_some(buffers, std::forward<Handler>(handler));
    }
  }
  template <typename Buffers, typename Handler>
  void async_write_some(const Buffers& buffers, Handler&& handler) {
    if (tls_) {
      tls_->async_write_some(buffers, std::forward<Handler>(handler));
    } else {
      socket_.async_write_some(buffers, std::forward<Handler>(handler));
    }
  }
  template <typename Handler>
  void async_handshake(Handler&& handler) {
    tls_->async_handshake(asio::ssl::stream_base::server, std::forward<Handler>(handler));
  }
  /// Whether the other side has closed or the connection is broken; unread bytes do not hide it.
  bool peer_has_gone() {
    pollfd query{socket_.native_handle(), POLLRDHUP, 0};
    return poll(&query, 1, 0) > 0 && (query.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }
  /// Sends what is queued and says that no more will come.
  void shut_down() {
    error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  }
  void close() {
    error_code ignored;
    socket_.close(ignored);
  }
  bool is_open() const { return socket_.is_open(); }

 private:
  Socket socket_;
  std::optional<asio::ssl::stream<Socket&>> tls_;
};

/// 64 random bits in hexadecimal: unique enough to find a request in a log.
std::string make_request_id() {
  thread_local std::mt19937_64 random(std::random_device{}());
  return fmt::format("{:016x}", random());
}

/// What sessions share; outlives them.
struct Shared {
  HttpServerOptions options;
  HttpHandler handler;
  std::atomic<bool> draining = false;
  std::atomic<int> connections = 0;
};

/// The bytes of one answer on their way from any thread to the session that writes them.
class SessionExchange final : public Exchange {
 public:
  /// `wake` makes the session call take(); it must not wait.
  SessionExchange(const HttpRequest& request, bool keep_alive, bool chunks, int64_t limit,
                  std::function<void()> wake)
      : method_(request.method),
        path_(request.path),
        id_(request.id),
        keep_alive_(keep_alive),
        chunks_(chunks),
        limit_(static_cast<size_t>(limit)),
        wake_(std::move(wake)) {}

  void respond(HttpResponse response) override {
    const std::lock_guard lock(mutex_);
    if (begun_ || gone_) {
      return;
    }
    begin_locked(response, static_cast<int64_t>(response.body.size()), false);
    if (method_ != "HEAD") {
      pending_ += response.body;
    }
    finished_ = true;
    wake_locked();
  }

  void begin(HttpResponse response) override {
    const std::lock_guard lock(mutex_);
    if (begun_ || gone_) {
      return;
    }
    begin_locked(response, -1, chunks_);
    keep_alive_ = keep_alive_ && chunks_;  // without chunks, closing marks the end
    add_locked(response.body);
    heartbeat_ = response.heartbeat;
    wake_locked();
  }

  bool write(std::string_view piece) override {
    const std::lock_guard lock(mutex_);
    if (gone_ || finished_) {
      return false;
    }
    if (pending_.size() + piece.size() > limit_) {
      overflown_ = true;
      wake_locked();
      return false;
    }
    add_locked(piece);
    wake_locked();
    return true;
  }

  void finish() override {
    const std::lock_guard lock(mutex_);
    if (finished_ || gone_) {
      return;
    }
    if (chunks_) {
      pending_ += "0\r\n\r\n";
    }
    finished_ = true;
    wake_locked();
  }

  void on_gone(std::function<void()> callback) override {
    {
      const std::lock_guard lock(mutex_);
      if (finished_) {
        return;
      }
      if (!gone_) {
        callback_ = std::move(callback);
        return;
      }
    }
    callback();
  }

  /// For the session: everything to write now.
  std::string take() {
    const std::lock_guard lock(mutex_);
    woken_ = false;
    return std::exchange(pending_, {});
  }
  /// For the session: the client is no longer there. `reason` goes to the log.
  void go(const char* reason) {
    std::function<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      if (gone_) {
        return;
      }
      gone_ = true;
      if (!finished_ || !pending_.empty()) {
        ending_ = reason;
      }
      callback = finished_ ? nullptr : std::move(callback_);
      callback_ = nullptr;
      wake_ = nullptr;
      pending_.clear();
    }
    if (callback) {
      callback();
    }
    log();
  }
  /// For the session: adds the heartbeat if nothing was written for `silence`.
  void beat(Clock::duration silence) {
    const std::lock_guard lock(mutex_);
    if (!heartbeat_.empty() && !finished_ && !gone_ && Clock::now() - last_added_ > silence) {
      add_locked(heartbeat_);
      wake_locked();
    }
  }
  /// For the session: the answer has been written.
  void complete() {
    {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      callback_ = nullptr;
      wake_ = nullptr;
    }
    log();
  }
  bool begun() const { return locked(begun_); }
  bool finished() const { return locked(finished_); }
  bool overflown() const { return locked(overflown_); }
  bool keep_alive() const { return locked(keep_alive_); }

 private:
  bool locked(const bool& flag) const {
    const std::lock_guard lock(mutex_);
    return flag;
  }
  void begin_locked(HttpResponse& response, int64_t length, bool chunked) {
    begun_ = true;
    status_ = response.status;
    response.headers.push_back({"X-Request-Id", id_});
    pending_ += format_head(response, length, chunked, keep_alive_ && (chunked || length >= 0));
  }
  void add_locked(std::string_view piece) {
    last_added_ = Clock::now();
    if (!piece.empty()) {
      pending_ += chunks_ ? format_chunk(piece) : std::string(piece);
    }
  }
  /// One wake-up for all that is added until the session looks: the events of a step leave
  /// together.
  void wake_locked() {
    if (!woken_) {
      woken_ = true;
      wake_();
    }
  }
  /// Paths, never queries or bodies: those may hold what users wrote.
  void log() const {
    const double ms = std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
    log_info("request id={} method={} path={} status={} ms={:.1f} end={}", id_, method_,
             Json(path_).dump(-1, ' ', true, Json::error_handler_t::replace), status_, ms, ending_);
  }

  mutable std::mutex mutex_;
  const std::string method_, path_, id_;
  bool keep_alive_;
  const bool chunks_;
  const size_t limit_;
  std::function<void()> wake_;  // empty when gone: it must not outlive the server
  std::function<void()> callback_;
  std::string pending_;
  std::string heartbeat_;
  Clock::time_point last_added_;
  bool begun_ = false, finished_ = false, gone_ = false, woken_ = false, overflown_ = false;
  int status_ = 0;
  const char* ending_ = "done";
  const Clock::time_point start_ = Clock::now();
};

/// One connection: reads a request, hands it to the handler, writes the answer, and again. All its
/// members run on one strand.
class Session : public std::enable_shared_from_this<Session> {
 public:
  /// All handlers of `socket` run on `strand`.
  Session(Socket socket, Strand strand, std::shared_ptr<Shared> shared, asio::ssl::context* tls)
      : shared_(std::move(shared)),
        strand_(std::move(strand)),
        channel_(std::move(socket), tls),
        timer_(channel_.get_executor()) {
    ++shared_->connections;
  }
  ~Session() {
    if (exchange_) {
      exchange_->go("stopped");
    }
    --shared_->connections;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void start() {
    deadline_ = Clock::now() + shared_->options.idle_timeout;
    tick();
    if (!channel_.has_tls()) {
      read_head();
      return;
    }
    channel_.async_handshake([self = shared_from_this()](error_code error) {
      if (error) {
        self->close("tls");
      } else {
        self->read_head();
      }
    });
  }
  /// Over the limit of connections: says so and closes.
  void refuse() {
    deadline_ = Clock::now() + kTick * 5;
    tick();
    refuse_with(503, "too many connections; try again later", "overloaded");
  }

 private:
  using Parser = beast::http::request_parser<beast::http::string_body>;

  void read_head() {
    if (shared_->draining) {
      close("drain");
      return;
    }
    parser_.emplace();
    parser_->header_limit(static_cast<uint32_t>(shared_->options.max_header_bytes));
    parser_->body_limit(static_cast<uint64_t>(shared_->options.max_body_bytes));
    deadline_ = Clock::now() + shared_->options.idle_timeout;
    idle_ = true;
    beast::http::async_read_header(
        channel_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, size_t) { self->on_head(error); });
  }

  void on_head(error_code error) {
    idle_ = false;
    if (error) {
      on_read_error(error);
      return;
    }
    deadline_ = Clock::now() + shared_->options.body_timeout;
    if (!beast::iequals(parser_->get()[beast::http::field::expect], "100-continue")) {
      read_body();
      return;
    }
    outgoing_ = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(channel_, asio::buffer(outgoing_),
                      [self = shared_from_this()](error_code failed, size_t) {
                        if (failed) {
                          self->close("write");
                        } else {
                          self->read_body();
                        }
                      });
  }

  void read_body() {
    beast::http::async_read(channel_, buffer_, *parser_,
                            [self = shared_from_this()](error_code error, size_t) {
                              if (error) {
                                self->on_read_error(error);
                              } else {
                                self->handle();
                              }
                            });
  }

  void on_read_error(error_code error) {
    using HttpError = beast::http::error;
    if (!channel_.is_open()) {
      return;
    }
    const HttpServerOptions& options = shared_->options;
    if (error == HttpError::body_limit) {
      refuse_with(413,
                  fmt::format("the body is over the limit of {} bytes (--max-body)",
                              options.max_body_bytes),
                  "body_too_large");
    } else if (error == HttpError::header_limit || error == HttpError::buffer_overflow) {
      refuse_with(
          431, fmt::format("the headers are over the limit of {} bytes", options.max_header_bytes),
          "headers_too_large");
    } else if (error != HttpError::end_of_stream && error != HttpError::partial_message &&
               error.category() == make_error_code(HttpError::bad_version).category()) {
      refuse_with(400, fmt::format("not a request of HTTP/1.1: {}", error.message()),
                  "bad_request");
    } else {
      close("read");
    }
  }

  /// Answers a request that could not be read, and closes.
  void refuse_with(int status, const std::string& message, const std::string& code) {
    const HttpResponse response =
        error_response({status, "invalid_request_error", message, "", code});
    outgoing_ = format_head(response, static_cast<int64_t>(response.body.size()), false, false) +
                response.body;
    asio::async_write(channel_, asio::buffer(outgoing_),
                      [self = shared_from_this()](error_code, size_t) { self->linger(); });
  }

  HttpRequest take_request() {
    auto message = parser_->release();
    HttpRequest request;
    request.id = make_request_id();
    request.method = std::string(message.method_string());
    const std::string target(message.target());
    const size_t mark = target.find('?');
    request.path = percent_decode(std::string_view(target).substr(0, mark));
    request.query = mark == std::string::npos ? "" : target.substr(mark + 1);
    for (const auto& field : message) {
      request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
    }
    request.body = std::move(message.body());
    return request;
  }

  void handle() {
    const bool keep_alive = parser_->get().keep_alive() && !shared_->draining;
    const bool chunks = parser_->get().version() >= 11;
    HttpRequest request;
    try {
      request = take_request();
    } catch (const Error& error) {
      refuse_with(400, error.what(), "bad_request");
      return;
    }
    deadline_ = Clock::now() + shared_->options.request_timeout;
    exchange_ = std::make_shared<SessionExchange>(request, keep_alive, chunks,
                                                  shared_->options.max_unread_bytes,
                                                  [weak = weak_from_this(), strand = strand_] {
                                                    asio::post(strand, [weak] {
                                                      if (const auto self = weak.lock()) {
                                                        self->flush();
                                                      }
                                                    });
                                                  });
    try {
      shared_->handler(request, exchange_);
    } catch (const std::exception& error) {
      exchange_->respond(error_response(to_api_error(error)));
    }
  }

  /// Writes what the exchange holds, until it holds nothing.
  void flush() {
    if (writing_ || !exchange_ || !channel_.is_open()) {
      return;
    }
    if (exchange_->overflown()) {
      close("unread");
      return;
    }
    const bool last = exchange_->finished();  // before take(): what comes after it is empty
    outgoing_ = exchange_->take();
    if (outgoing_.empty()) {
      if (last) {
        end_exchange();
      }
      return;
    }
    writing_ = true;
    write_deadline_ = Clock::now() + shared_->options.write_timeout;
    asio::async_write(
        channel_, asio::buffer(outgoing_),
        [self = shared_from_this()](const error_code& failed, size_t) {
          if (failed) {
            return size_t{0};
          }
          self->write_deadline_ = Clock::now() + self->shared_->options.write_timeout;
          return size_t{64} << 10;
        },
        [self = shared_from_this()](error_code error, size_t) {
          self->writing_ = false;
          if (error) {
            self->close("gone");
          } else {
            self->flush();
          }
        });
  }

  void end_exchange() {
    const auto exchange = std::move(exchange_);
    exchange_ = nullptr;
    exchange->complete();
    if (exchange->keep_alive() && !shared_->draining) {
      read_head();
    } else {
      linger();
    }
  }

  /// Closes so that the client still reads the answer: closing with unread input would reset the
  /// connection.
  void linger() {
    channel_.shut_down();
    deadline_ = Clock::now() + kTick * 10;
    discard();
  }
  void discard() {
    channel_.async_read_some(asio::buffer(trash_),
                             [self = shared_from_this()](error_code error, size_t) {
                               if (error) {
                                 self->close("done");
                               } else {
                                 self->discard();
                               }
                             });
  }

  void tick() {
    timer_.expires_after(kTick);
    timer_.async_wait([self = shared_from_this()](error_code error) {
      if (!error && self->channel_.is_open()) {
        self->check();
        self->tick();
      }
    });
  }
  void check() {
    const Clock::time_point now = Clock::now();
    if (idle_ && shared_->draining && buffer_.size() == 0) {
      close("drain");
    } else if (writing_ && now > write_deadline_) {
      close("unread");
    } else if (exchange_ && channel_.peer_has_gone()) {
      close("gone");
    } else if (now > deadline_) {
      expire();
    } else if (exchange_) {
      exchange_->beat(shared_->options.heartbeat);
    }
  }
  void expire() {
    if (!exchange_ || exchange_->begun()) {
      close("timeout");
      return;
    }
    exchange_->go("timeout");
    exchange_ = nullptr;
    deadline_ = Clock::now() + kTick * 10;
    refuse_with(504, "the answer took longer than the server's limit (--request-timeout)",
                "timeout");
  }

  void close(const char* reason) {
    if (exchange_) {
      exchange_->go(reason);
      exchange_ = nullptr;
    }
    timer_.cancel();
    channel_.close();
  }

  std::shared_ptr<Shared> shared_;
  Strand strand_;
  Channel channel_;
  asio::steady_timer timer_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::shared_ptr<SessionExchange> exchange_;
  std::string outgoing_;
  std::array<char, 4096> trash_{};
  Clock::time_point deadline_, write_deadline_;
  bool writing_ = false;
  bool idle_ = false;
};

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
  Impl(const HttpServerOptions& options, HttpHandler handler)
      : shared(std::make_shared<Shared>()), strand(asio::make_strand(io)), acceptor(strand) {
    shared->options = options;
    shared->handler = std::move(handler);
    if (options.tls_cert.empty() != options.tls_key.empty()) {
      bad_input("--tls-cert and --tls-key belong together, found one of them");
    }
    if (!options.tls_cert.empty()) {
      tls.emplace(make_tls(options));
    }
    listen();
    accept();
    for (int i = 0; i < options.threads; ++i) {
      threads.emplace_back([this] { io.run(); });
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
    const Strand own = asio::make_strand(io);
    acceptor.async_accept(asio::any_io_executor(own), [this, own](error_code error, Socket socket) {
      on_accept(error, std::move(socket), own);
    });
  }
  void on_accept(error_code error, Socket socket, const Strand& own) {
    if (error == asio::error::operation_aborted || shared->draining) {
      return;
    }
    if (!error) {
      const bool full = shared->connections >= shared->options.max_connections;
      const auto session =
          std::make_shared<Session>(std::move(socket), own, shared, tls && !full ? &*tls : nullptr);
      if (full) {
        session->refuse();
      } else {
        session->start();
      }
      accept();
      return;
    }
    // Out of file handles, for example: what is being served goes on, new clients wait.
    log_warning("accept: {}", error.message());
    pause.expires_after(kTick);
    pause.async_wait([this](error_code stopped) {
      if (!stopped) {
        accept();
      }
    });
  }

  std::shared_ptr<Shared> shared;
  std::optional<asio::ssl::context> tls;
  asio::io_context io;
  Strand strand;
  Acceptor acceptor;
  asio::steady_timer pause{acceptor.get_executor()};
  uint16_t port = 0;
  std::vector<std::thread> threads;
};

HttpServer::HttpServer(const HttpServerOptions& options, HttpHandler handler)
    : impl_(std::make_unique<Impl>(options, std::move(handler))) {}

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
