/// The bytes of one answer on their way from any thread to the session that writes them.
///
/// Knows HTTP's framing and no sockets, so that it runs in tests and fuzzers as in the server.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "serve/http.h"

namespace mm {

struct SessionExchangeOptions {
  bool keep_alive = true;        ///< the connection may be used again
  bool chunks = true;            ///< the client knows chunked bodies (HTTP/1.1)
  int64_t max_unread = 4 << 20;  ///< bytes that may wait to be taken
};

/// Writers call Exchange's functions from any thread; the session that owns the socket calls the
/// rest from its own.
class SessionExchange final : public Exchange {
 public:
  using Clock = std::chrono::steady_clock;

  /// `wake` makes the session call take(); it must not wait, nor call back at once. It is dropped
  /// by go() and complete().
  SessionExchange(const HttpRequest& request, const SessionExchangeOptions& options,
                  std::function<void()> wake)
      : method_(request.method),
        path_(request.path),
        id_(request.id),
        keep_alive_(options.keep_alive),
        chunks_(options.chunks),
        limit_(static_cast<size_t>(options.max_unread)),
        wake_(std::move(wake)) {}

  void respond(HttpResponse response) override;
  void begin(HttpResponse response) override;
  bool write(std::string_view piece) override;
  void finish() override;
  void hold() override;
  void release() override;
  void on_gone(std::function<void()> callback) override;

  /// Everything to write now: nothing while it is held.
  std::string take();
  /// The client is no longer there. `reason`, a literal, goes to the log.
  void go(const char* reason);
  /// Adds the heartbeat if nothing was written for `silence`.
  void beat(Clock::duration silence);
  /// The answer has been written.
  void complete();

  bool begun() const { return locked(begun_); }
  /// Nothing comes after what take() gives from now on.
  bool finished() const {
    const std::lock_guard lock(mutex_);
    return finished_ && !held_;
  }
  bool overflown() const { return locked(overflown_); }
  bool keep_alive() const { return locked(keep_alive_); }

 private:
  bool locked(const bool& flag) const {
    const std::lock_guard lock(mutex_);
    return flag;
  }
  void begin_locked(HttpResponse& response, int64_t length, bool chunked);
  void add_locked(std::string_view piece);
  void wake_locked();
  void log() const;

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
  bool held_ = false;
  bool wake_is_due_ = false;  // when it is no longer held
  int status_ = 0;
  const char* ending_ = "done";
  const Clock::time_point start_ = Clock::now();
};

}  // namespace mm
