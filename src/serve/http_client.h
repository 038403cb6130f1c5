/// An HTTP client for many calls at once on the caller's thread. Boost.Beast stays behind this
/// header.
///
/// Goals: answers are handed on piece by piece, as they come; every wait has a limit; a thousand
/// open streams cost no thread. Non-goals: redirects, proxies, cookies, compression, HTTP/2.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http.h"
#include "serve/http_url.h"

namespace mm {

struct HttpClientOptions {
  HttpUrl url;
  std::vector<HttpHeader> headers = {};  ///< sent with every call
  std::string ca_file;     ///< PEM: certificates to trust besides the system's; empty: none
  bool verify_tls = true;  ///< refuse servers whose certificate is not trusted or another host's
  std::chrono::milliseconds connect_timeout{10000};
  std::chrono::milliseconds timeout{600000};  ///< of a call as a whole
};

struct HttpCall {
  std::string method = "POST";
  std::string path;  ///< behind the URL's base
  std::string body;  ///< JSON
};

/// How a call ended.
enum class HttpEnd {
  kDone,       ///< the answer is whole, as far as HTTP can tell
  kRefused,    ///< no connection: nobody listens, TLS failed
  kTimeout,    ///< over one of the two limits
  kClosed,     ///< the connection ended before the answer did
  kMalformed,  ///< what came is no HTTP
  kStopped     ///< by the receiver, or by cancel()
};

/// Who hears the answer to one call. Must not throw.
class HttpReceiver {
 public:
  HttpReceiver() = default;
  virtual ~HttpReceiver() = default;
  HttpReceiver(const HttpReceiver&) = delete;
  HttpReceiver& operator=(const HttpReceiver&) = delete;

  virtual void on_head(int status, std::string_view content_type) = 0;
  /// A piece of the body, right after it came. False: no more of it, the call ends with kStopped.
  virtual bool on_body(std::string_view piece) = 0;
  /// Once, at last; `message` says why unless `end` is kDone.
  virtual void on_end(HttpEnd end, const std::string& message) = 0;
};

/// A whole answer.
struct HttpReply {
  HttpEnd end = HttpEnd::kDone;
  std::string message;  ///< unless kDone
  int status = 0;
  std::string content_type;
  std::string body;
};

/// Member functions may only be called by one thread, and by callbacks within run() and fetch().
class HttpClient {
 public:
  using Clock = std::chrono::steady_clock;

  /// Finds the host's addresses. Throws kIo when there are none, kBadInput for a `ca_file` that
  /// cannot be used.
  explicit HttpClient(const HttpClientOptions& options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Begins a call over an open connection that no other one uses, or over a new one. `receiver` is
  /// called within run(), never from here.
  void send(HttpCall call, std::shared_ptr<HttpReceiver> receiver);
  /// Calls `work` within run() at a time, or at once when it has passed.
  void at(Clock::time_point when, std::function<void()> work);

  /// Works until stop(), or until there is nothing left to wait for.
  void run();
  void stop();
  /// Ends all calls; their receivers hear kStopped before this returns.
  void cancel();

  /// One call and its whole answer, of at most 64 MiB; runs what else there is to do meanwhile.
  HttpReply fetch(HttpCall call);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mm
