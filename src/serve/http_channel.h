/// A socket with or without TLS, of a server or a client. Included by http_session and http_client
/// alone.
#pragma once

#include <poll.h>

#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <optional>
#include <utility>

namespace mm {

using HttpSocket = boost::asio::generic::stream_protocol::socket;

/// Which of the two it is is chosen when it is made: one type for everything above.
class HttpChannel {
 public:
  using executor_type = HttpSocket::executor_type;  // NOLINT(readability-identifier-naming): asio's
  using Tls = boost::asio::ssl::stream<HttpSocket&>;

  /// `tls`: null for none.
  HttpChannel(HttpSocket socket, boost::asio::ssl::context* tls) : socket_(std::move(socket)) {
    if (tls != nullptr) {
      tls_.emplace(socket_, *tls);
    }
  }
  executor_type get_executor() { return socket_.get_executor(); }
  bool has_tls() const { return tls_.has_value(); }
  /// Only with TLS.
  Tls& tls() { return *tls_; }
  HttpSocket& socket() { return socket_; }

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
  /// Only with TLS.
  template <typename Handler>
  void async_handshake(boost::asio::ssl::stream_base::handshake_type side, Handler&& handler) {
    tls_->async_handshake(side, std::forward<Handler>(handler));
  }
  /// Whether the other side has closed or the connection is broken; unread bytes do not hide it.
  bool peer_has_gone() {
    pollfd query{socket_.native_handle(), POLLRDHUP, 0};
    return poll(&query, 1, 0) > 0 && (query.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  }
  /// Sends what is queued and says that no more will come.
  void shut_down() {
    boost::system::error_code ignored;
    socket_.shutdown(boost::asio::socket_base::shutdown_send, ignored);
  }
  void close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  bool is_open() const { return socket_.is_open(); }

 private:
  HttpSocket socket_;
  std::optional<Tls> tls_;
};

}  // namespace mm
