#include "serve/session_exchange.h"

#include "base/json_value.h"
#include "base/log.h"

namespace mm {

void SessionExchange::respond(HttpResponse response) {
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

void SessionExchange::begin(HttpResponse response) {
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

bool SessionExchange::write(std::string_view piece) {
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

void SessionExchange::finish() {
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

void SessionExchange::hold() {
  const std::lock_guard lock(mutex_);
  held_ = true;
}

void SessionExchange::release() {
  const std::lock_guard lock(mutex_);
  held_ = false;
  if (std::exchange(wake_is_due_, false) && !gone_) {
    wake_locked();
  }
}

void SessionExchange::on_gone(std::function<void()> callback) {
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

std::string SessionExchange::take() {
  const std::lock_guard lock(mutex_);
  woken_ = false;
  if (held_) {
    wake_is_due_ = true;
    return "";
  }
  return std::exchange(pending_, {});
}

void SessionExchange::go(const char* reason) {
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

void SessionExchange::beat(Clock::duration silence) {
  const std::lock_guard lock(mutex_);
  if (!heartbeat_.empty() && !finished_ && !gone_ && Clock::now() - last_added_ > silence) {
    add_locked(heartbeat_);
    wake_locked();
  }
}

void SessionExchange::complete() {
  {
    const std::lock_guard lock(mutex_);
    gone_ = true;
    callback_ = nullptr;
    wake_ = nullptr;
  }
  log();
}

void SessionExchange::begin_locked(HttpResponse& response, int64_t length, bool chunked) {
  begun_ = true;
  status_ = response.status;
  response.headers.push_back({"X-Request-Id", id_});
  pending_ += format_head(response, length, chunked, keep_alive_ && (chunked || length >= 0));
}

void SessionExchange::add_locked(std::string_view piece) {
  last_added_ = Clock::now();
  if (!piece.empty()) {
    pending_ += chunks_ ? format_chunk(piece) : std::string(piece);
  }
}

/// One wake-up for all that is added until the session looks. While it is held that is release()'s.
void SessionExchange::wake_locked() {
  if (held_) {
    wake_is_due_ = true;
  } else if (!woken_) {
    woken_ = true;
    wake_();
  }
}

/// Paths, never queries or bodies: those may hold what users wrote.
void SessionExchange::log() const {
  const double ms = std::chrono::duration<double, std::milli>(Clock::now() - start_).count();
  log_info("request id={} method={} path={} status={} ms={:.1f} end={}", id_, method_,
           Json(path_).dump(-1, ' ', true, Json::error_handler_t::replace), status_, ms, ending_);
}

}  // namespace mm
