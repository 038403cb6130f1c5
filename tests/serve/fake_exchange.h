/// An exchange that keeps what a handler answers.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>

#include "serve/http.h"

namespace mm {

class FakeExchange final : public Exchange {
 public:
  void respond(HttpResponse response) override {
    const std::lock_guard lock(mutex_);
    head = response;
    body = response.body;
    finish_locked();
  }
  void begin(HttpResponse response) override {
    const std::lock_guard lock(mutex_);
    head = response;
    body = response.body;
    streamed = true;
  }
  bool write(std::string_view piece) override {
    const std::lock_guard lock(mutex_);
    gone_ = gone_ || writes_until_gone == 0;
    if (gone_) {
      return false;
    }
    --writes_until_gone;
    body += piece;
    changed_.notify_all();
    return true;
  }
  void finish() override {
    const std::lock_guard lock(mutex_);
    finish_locked();
  }
  void on_gone(std::function<void()> callback) override {
    const std::lock_guard lock(mutex_);
    callback_ = std::move(callback);
  }

  /// Returns when the answer has ended.
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_; });
  }
  /// Returns when the body holds `text`.
  void wait_for(std::string_view text) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return finished_ || body.find(text) != std::string::npos; });
  }
  void leave() {
    std::function<void()> callback;
    {
      const std::lock_guard lock(mutex_);
      gone_ = true;
      callback = std::move(callback_);
    }
    if (callback) {
      callback();
    }
  }

  HttpResponse head;
  std::string body;
  bool streamed = false;
  int writes_until_gone = -1;  ///< nobody listens after so many; negative: somebody always does

 private:
  void finish_locked() {
    finished_ = true;
    callback_ = nullptr;
    changed_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> callback_;
  bool finished_ = false;
  bool gone_ = false;
};

}  // namespace mm
