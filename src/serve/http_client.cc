#include "serve/http_client.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <array>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <unordered_set>

#include "base/error.h"
#include "serve/http_channel.h"

namespace mm {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using Clock = HttpClient::Clock;
using Endpoint = HttpSocket::endpoint_type;

constexpr uint32_t kMaxHeadBytes = 64 << 10;
constexpr size_t kMaxFetchedBytes = size_t{64} << 20;

/// A connection and what was read of it ahead.
struct Connection {
  Connection(asio::io_context& io, asio::ssl::context* tls) : channel(HttpSocket(io), tls) {}

  HttpChannel channel;
  beast::flat_buffer buffer;
  bool used = false;  ///< by an earlier call: the server may have closed it since
};

class Call;

/// What the calls share.
struct Shared {
  explicit Shared(const HttpClientOptions& given) : options(given) {
    if (options.url.tls) {
      tls.emplace(asio::ssl::context::tls_client);
      set_up_tls();
    }
    find_endpoints();
  }

  void set_up_tls() {
    tls->set_verify_mode(options.verify_tls ? asio::ssl::verify_peer : asio::ssl::verify_none);
    error_code error;
    tls->set_default_verify_paths(error);
    if (options.ca_file.empty()) {
      return;
    }
    tls->load_verify_file(options.ca_file, error);
    if (error) {
      bad_input("{}: {}, expected certificates in PEM", options.ca_file, error.message());
    }
  }

  /// Once, here: the time that names take is no part of a call.
  void find_endpoints() {
    const HttpUrl& url = options.url;
    if (!url.unix_socket.empty()) {
      try {
        endpoints = {asio::local::stream_protocol::endpoint(url.unix_socket)};
      } catch (const boost::system::system_error& error) {
        bad_input("{}: {}", url.unix_socket, error.code().message());
      }
      return;
    }
    asio::ip::tcp::resolver resolver(io);
    error_code error;
    for (const auto& found : resolver.resolve(url.host, std::to_string(url.port), error)) {
      endpoints.emplace_back(found.endpoint());
    }
    if (error || endpoints.empty()) {
      raise(ErrorKind::kIo, "cannot find the host {}: {}", url.host, error.message());
    }
  }

  /// An open one that nobody uses, or a new one that is not connected yet.
  std::unique_ptr<Connection> take_connection(bool must_be_new) {
    while (!idle.empty() && !must_be_new) {
      std::unique_ptr<Connection> last = std::move(idle.back());
      idle.pop_back();
      if (!last->channel.peer_has_gone()) {
        return last;
      }
    }
    return std::make_unique<Connection>(io, tls ? &*tls : nullptr);
  }

  std::string where() const {
    const HttpUrl& url = options.url;
    return url.unix_socket.empty() ? fmt::format("{}:{}", url.host, url.port) : url.unix_socket;
  }

  HttpClientOptions options;
  std::optional<asio::ssl::context> tls;
  asio::io_context io{1};
  std::vector<Endpoint> endpoints;
  std::vector<std::unique_ptr<Connection>> idle;
  std::unordered_set<Call*> calls;  ///< that have not ended
};

/// One call, from its connection to the end of its answer. The handlers that wait hold it.
class Call : public std::enable_shared_from_this<Call> {
 public:
  Call(Shared& shared, HttpCall call, std::shared_ptr<HttpReceiver> receiver)
      : shared_(shared), receiver_(std::move(receiver)), deadline_(shared.io) {
    request_.method_string(call.method);
    request_.target(shared.options.url.base + call.path);
    request_.version(11);
    request_.set(beast::http::field::host, shared.options.url.authority());
    request_.set(beast::http::field::accept, "text/event-stream, application/json");
    for (const HttpHeader& header : shared.options.headers) {
      request_.set(header.name, header.value);
    }
    if (!call.body.empty()) {
      request_.set(beast::http::field::content_type, "application/json");
      request_.body() = std::move(call.body);
    }
    request_.prepare_payload();
  }

  /// Posted, so that the receiver hears nothing before send() has returned.
  void start() {
    end_by_ = Clock::now() + shared_.options.timeout;
    shared_.calls.insert(this);
    asio::post(shared_.io, [self = shared_from_this()] { self->begin(false); });
  }

  void end(HttpEnd how, const std::string& message) {
    if (ended_) {
      return;
    }
    ended_ = true;
    shared_.calls.erase(this);
    deadline_.cancel();
    if (connection_) {
      connection_->channel.close();
    }
    receiver_->on_end(how, message);
  }

 private:
  void begin(bool must_be_new) {
    if (ended_) {
      return;
    }
    connection_ = shared_.take_connection(must_be_new);
    if (connection_->used) {
      write();
      return;
    }
    wait_until(std::min(end_by_, Clock::now() + shared_.options.connect_timeout));
    asio::async_connect(connection_->channel.socket(), shared_.endpoints,
                        [self = shared_from_this()](error_code error, const Endpoint& endpoint) {
                          self->on_connect(error, endpoint);
                        });
  }

  void on_connect(error_code error, const Endpoint& endpoint) {
    if (error || ended_ || expired_) {
      fail_to_connect(error);
      return;
    }
    HttpChannel& channel = connection_->channel;
    if (endpoint.protocol().family() != AF_UNIX) {
      // Small requests leave at once.
      error_code ignored;
      channel.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    }
    if (!channel.has_tls()) {
      write();
      return;
    }
    name_host(channel.tls());
    channel.async_handshake(asio::ssl::stream_base::client,
                            [self = shared_from_this()](error_code failed) {
                              if (failed || self->ended_ || self->expired_) {
                                self->fail_to_connect(failed);
                              } else {
                                self->write();
                              }
                            });
  }

  /// Tells the server which of its certificates is wanted, and checks that it is that one.
  void name_host(HttpChannel::Tls& tls) const {
    const std::string& host = shared_.options.url.host;
    error_code not_an_address;
    asio::ip::make_address(host, not_an_address);
    if (not_an_address) {
      SSL_ctrl(tls.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
               const_cast<char*>(host.c_str()));
    }
    if (shared_.options.verify_tls) {
      tls.set_verify_callback(asio::ssl::host_name_verification(host));
    }
  }

  void fail_to_connect(error_code error) {
    if (expired_) {
      end(HttpEnd::kTimeout, fmt::format("no connection to {} within {} ms", shared_.where(),
                                         shared_.options.connect_timeout.count()));
    } else {
      end(HttpEnd::kRefused,
          fmt::format("cannot connect to {}: {}", shared_.where(), error.message()));
    }
  }

  void write() {
    wait_until(end_by_);
    parser_.emplace();
    parser_->header_limit(kMaxHeadBytes);
    parser_->body_limit(boost::none);
    // A server that refuses may answer and close without reading all of the request: what it says
    // is worth more than the error of this.
    beast::http::async_write(connection_->channel, request_,
                             [self = shared_from_this()](error_code, size_t) {
                               if (!self->ended_) {
                                 self->read_head();
                               }
                             });
  }

  void read_head() {
    beast::http::async_read_header(connection_->channel, connection_->buffer, *parser_,
                                   [self = shared_from_this()](error_code error, size_t) {
                                     if (!self->ended_) {
                                       self->on_head(error);
                                     }
                                   });
  }

  void on_head(error_code error) {
    if (error) {
      // The server closed a connection that it had left open, just before this call came.
      if (connection_->used && !parser_->got_some() && !expired_) {
        connection_ = nullptr;
        begin(true);
      } else {
        fail(error);
      }
      return;
    }
    const auto& head = parser_->get();
    receiver_->on_head(static_cast<int>(head.result_int()),
                       std::string_view(head[beast::http::field::content_type]));
    read_body();
  }

  void read_body() {
    if (ended_) {
      return;
    }
    if (parser_->is_done()) {
      finish();
      return;
    }
    parser_->get().body().data = piece_.data();
    parser_->get().body().size = piece_.size();
    parser_->get().body().more = true;
    beast::http::async_read_some(connection_->channel, connection_->buffer, *parser_,
                                 [self = shared_from_this()](error_code error, size_t) {
                                   if (!self->ended_) {
                                     self->on_piece(error);
                                   }
                                 });
  }

  void on_piece(error_code error) {
    const size_t size = piece_.size() - parser_->get().body().size;
    if (size > 0 && !receiver_->on_body({piece_.data(), size})) {
      end(HttpEnd::kStopped, "enough");
    } else if (error && error != beast::http::error::need_buffer) {
      fail(error);
    } else {
      read_body();
    }
  }

  void finish() {
    if (parser_->keep_alive()) {
      connection_->used = true;
      shared_.idle.push_back(std::move(connection_));
    }
    end(HttpEnd::kDone, "");
  }

  void fail(error_code error) {
    if (expired_) {
      end(HttpEnd::kTimeout,
          fmt::format("no end of the answer within {} ms", shared_.options.timeout.count()));
    } else if (error.category() == make_error_code(beast::http::error::bad_version).category() &&
               error != beast::http::error::end_of_stream &&
               error != beast::http::error::partial_message) {
      end(HttpEnd::kMalformed, fmt::format("the answer is no HTTP: {}", error.message()));
    } else {
      end(HttpEnd::kClosed,
          fmt::format("the connection ended before the answer did: {}", error.message()));
    }
  }

  /// What waits then is ended by closing the connection.
  void wait_until(Clock::time_point when) {
    deadline_.expires_at(when);
    deadline_.async_wait([self = shared_from_this()](error_code replaced) {
      // A wait that was replaced in the moment it ended still says that it ended.
      if (!replaced && !self->ended_ && self->deadline_.expiry() <= Clock::now()) {
        self->expired_ = true;
        self->connection_->channel.close();
      }
    });
  }

  Shared& shared_;
  std::shared_ptr<HttpReceiver> receiver_;
  asio::steady_timer deadline_;
  Clock::time_point end_by_;
  std::unique_ptr<Connection> connection_;
  beast::http::request<beast::http::string_body> request_;
  std::optional<beast::http::response_parser<beast::http::buffer_body>> parser_;
  std::array<char, 16384> piece_;
  bool expired_ = false;
  bool ended_ = false;
};

/// Keeps all of an answer.
class WholeReply final : public HttpReceiver {
 public:
  void on_head(int status, std::string_view content_type) override {
    reply_.status = status;
    reply_.content_type = content_type;
  }
  bool on_body(std::string_view piece) override {
    reply_.body += piece;
    return reply_.body.size() <= kMaxFetchedBytes;
  }
  void on_end(HttpEnd end, const std::string& message) override {
    reply_.end = end;
    reply_.message = message;
    ended_ = true;
  }
  bool ended() const { return ended_; }
  HttpReply take() { return std::move(reply_); }

 private:
  HttpReply reply_;
  bool ended_ = false;
};

}  // namespace

struct HttpClient::Impl : Shared {
  using Shared::Shared;
};

HttpClient::HttpClient(const HttpClientOptions& options) : impl_(std::make_unique<Impl>(options)) {}

HttpClient::~HttpClient() = default;

void HttpClient::send(HttpCall call, std::shared_ptr<HttpReceiver> receiver) {
  std::make_shared<Call>(*impl_, std::move(call), std::move(receiver))->start();
}

void HttpClient::at(Clock::time_point when, std::function<void()> work) {
  const auto timer = std::make_shared<asio::steady_timer>(impl_->io, when);
  timer->async_wait([timer, work = std::move(work)](error_code error) {
    if (!error) {
      work();
    }
  });
}

void HttpClient::run() {
  impl_->io.restart();
  impl_->io.run();
}

void HttpClient::stop() {
  impl_->io.stop();
}

void HttpClient::cancel() {
  const std::vector<Call*> calls(impl_->calls.begin(), impl_->calls.end());
  for (Call* call : calls) {
    call->end(HttpEnd::kStopped, "cancelled");
  }
}

HttpReply HttpClient::fetch(HttpCall call) {
  const auto whole = std::make_shared<WholeReply>();
  send(std::move(call), whole);
  impl_->io.restart();
  while (!whole->ended()) {
    impl_->io.run_one();
  }
  return whole->take();
}

}  // namespace mm
