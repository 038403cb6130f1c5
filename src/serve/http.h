/// HTTP as handlers see it: a request, and an exchange to answer it through. No sockets here.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mm {

struct HttpHeader {
  std::string name;
  std::string value;
};

struct HttpRequest {
  std::string method;
  std::string path;   ///< percent-decoded, without the query
  std::string query;  ///< as sent, without the question mark
  std::vector<HttpHeader> headers;
  std::string body;
  std::string id;  ///< ours, sent back as X-Request-Id

  /// The first header of this name, in any case; empty when there is none.
  std::string_view header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<HttpHeader> headers = {};
  std::string body = {};
  /// Of a stream: written whenever nothing else was for a while, so that nobody on the way takes
  /// the connection for dead.
  std::string heartbeat = {};
};

/// The answer to one request, whole or as a stream. Any thread may call, and none waits: what is
/// given here is queued and written in order.
class Exchange {
 public:
  Exchange() = default;
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Answers at once. Nothing may follow.
  virtual void respond(HttpResponse response) = 0;

  /// Begins a response whose body comes in pieces; response.body is its first.
  virtual void begin(HttpResponse response) = 0;
  /// Adds to the body. False when nobody listens any more: the client has gone, or has left more
  /// unread than the server's limit.
  virtual bool write(std::string_view piece) = 0;
  /// Ends the body.
  virtual void finish() = 0;

  /// From now on, until release(), what is written waits, so that all of it leaves at once. For
  /// streams whose pieces come in groups; does nothing where nobody would notice.
  virtual void hold() {}
  virtual void release() {}

  /// Called once, from a thread of the server, if the client goes or the time is up before the
  /// answer has ended; at once if that has happened. Holds what it captures until then.
  virtual void on_gone(std::function<void()> callback) = 0;
};

using HttpHandler = std::function<void(const HttpRequest&, const std::shared_ptr<Exchange>&)>;
/// Looks at a request without its body: what to refuse it with, if it is refused.
using HttpAdmission = std::function<std::optional<HttpResponse>(const HttpRequest&)>;

/// Bytes of a target with %XX replaced. Throws kBadInput for a broken escape or a NUL.
std::string percent_decode(std::string_view text);

/// Status line and headers, the empty line included. `length` < 0: the length is not known.
std::string format_head(const HttpResponse& response, int64_t length, bool chunked,
                        bool keep_alive);

/// One piece of a chunked body.
std::string format_chunk(std::string_view piece);

}  // namespace mm
