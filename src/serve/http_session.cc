#include "serve/http_session.h"

#include <fmt/format.h>

#include <array>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <random>

#include "base/error.h"
#include "serve/api_error.h"
#include "serve/http_channel.h"
#include "serve/session_exchange.h"

namespace mm {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

/// 64 random bits in hexadecimal: unique enough to find a request in a log.
std::string make_request_id() {
  thread_local std::mt19937_64 random(std::random_device{}());
  return fmt::format("{:016x}", random());
}

/// One connection: reads a request, hands it to the handler, writes the answer, and again. All its
/// members run on one strand.
class Session : public std::enable_shared_from_this<Session> {
 public:
  /// All handlers of `socket` run on `strand`.
  Session(HttpSocket socket, HttpStrand strand, std::shared_ptr<HttpSessionContext> shared,
          asio::ssl::context* tls)
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
    channel_.async_handshake(asio::ssl::stream_base::server,
                             [self = shared_from_this()](error_code error) {
                               if (error) {
                                 self->close("tls");
                               } else {
                                 self->read_head();
                               }
                             });
  }
  /// Over the limit of connections: says so and closes.
  void refuse() {
    deadline_ = Clock::now() + kHttpTick * 5;
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
    request_ = {};
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
    // A head that announces too long a body is a head: what it asks for says how to refuse it.
    const bool is_too_long = error == beast::http::error::body_limit;
    if (error && !is_too_long) {
      on_read_error(error);
      return;
    }
    deadline_ = Clock::now() + shared_->options.body_timeout;
    try {
      request_ = make_request();
    } catch (const Error& failure) {
      refuse_with(400, failure.what(), "bad_request");
      return;
    }
    if (!parser_->is_done() && shared_->admit) {
      if (std::optional<HttpResponse> refusal = shared_->admit(request_)) {
        open_exchange(false);  // closes: the body stays unread
        exchange_->respond(std::move(*refusal));
        return;
      }
    }
    if (is_too_long) {
      refuse_body();
      return;
    }
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
      refuse_body();
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

  /// Answers a request whose head was read, and closes.
  void refuse_body() {
    open_exchange(false);
    exchange_->respond(
        error_response({413, "invalid_request_error",
                        fmt::format("the body is over the limit of {} bytes (--max-body)",
                                    shared_->options.max_body_bytes),
                        "", "body_too_large"},
                       request_.path));
  }

  /// Answers what could not be read as a request, or not in time, and closes.
  void refuse_with(int status, const std::string& message, const std::string& code) {
    HttpResponse response =
        error_response({status, "invalid_request_error", message, "", code}, request_.path);
    if (!request_.id.empty()) {
      response.headers.push_back({"X-Request-Id", request_.id});
    }
    outgoing_ = format_head(response, static_cast<int64_t>(response.body.size()), false, false) +
                response.body;
    asio::async_write(channel_, asio::buffer(outgoing_),
                      [self = shared_from_this()](error_code, size_t) { self->linger(); });
  }

  /// The request as far as its head says.
  HttpRequest make_request() const {
    const auto& message = parser_->get();
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
    return request;
  }

  /// From now on answers go to the client.
  void open_exchange(bool keep_alive) {
    deadline_ = Clock::now() + shared_->options.request_timeout;
    const auto wake = [weak = weak_from_this(), strand = strand_] {
      asio::post(strand, [weak] {
        if (const auto self = weak.lock()) {
          self->flush();
        }
      });
    };
    exchange_ = std::make_shared<SessionExchange>(
        request_,
        SessionExchangeOptions{keep_alive, parser_->get().version() >= 11,
                               shared_->options.max_unread_bytes},
        wake);
  }

  void handle() {
    open_exchange(parser_->get().keep_alive() && !shared_->draining);
    HttpRequest request = request_;
    request.body = std::move(parser_->get().body());
    try {
      shared_->handler(request, exchange_);
    } catch (const std::exception& error) {
      exchange_->respond(error_response(to_api_error(error), request.path));
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
    deadline_ = Clock::now() + kHttpTick * 10;
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
    timer_.expires_after(kHttpTick);
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
    deadline_ = Clock::now() + kHttpTick * 10;
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

  std::shared_ptr<HttpSessionContext> shared_;
  HttpStrand strand_;
  HttpChannel channel_;
  asio::steady_timer timer_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  HttpRequest request_;  // that is being read or answered, without its body
  std::shared_ptr<SessionExchange> exchange_;
  std::string outgoing_;
  std::array<char, 4096> trash_{};
  Clock::time_point deadline_, write_deadline_;
  bool writing_ = false;
  bool idle_ = false;
};

}  // namespace

void start_http_session(HttpSocket socket, HttpStrand strand,
                        std::shared_ptr<HttpSessionContext> context, asio::ssl::context* tls) {
  std::make_shared<Session>(std::move(socket), std::move(strand), std::move(context), tls)->start();
}

void refuse_http_session(HttpSocket socket, HttpStrand strand,
                         std::shared_ptr<HttpSessionContext> context) {
  std::make_shared<Session>(std::move(socket), std::move(strand), std::move(context), nullptr)
      ->refuse();
}

}  // namespace mm
