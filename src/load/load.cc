#include "load/load.h"

#include <algorithm>

namespace mm {

namespace {

using Clock = HttpClient::Clock;

constexpr std::chrono::milliseconds kPoll{50};

class Load;

/// Hands what comes of one answer to its reader, with the time.
class MeasuredAnswer final : public HttpReceiver {
 public:
  MeasuredAnswer(Load& load, size_t index, double due) : load_(load), index_(index), reader_(due) {}

  AnswerReader& reader() { return reader_; }
  void on_head(int status, std::string_view content_type) override {
    reader_.head(status, content_type);
  }
  bool on_body(std::string_view piece) override;
  void on_end(HttpEnd end, const std::string& message) override;

 private:
  Load& load_;
  size_t index_;
  AnswerReader reader_;
};

/// Lives within run_load(). Timers and receivers that outlast it reach it no more: they hold
/// `alive_` weakly, or have ended.
class Load {
 public:
  Load(HttpClient& client, std::vector<LoadRequest> requests, int64_t most_at_once,
       const std::function<bool(int64_t answered)>& go_on)
      : client_(client),
        requests_(std::move(requests)),
        most_at_once_(most_at_once),
        go_on_(go_on) {}

  LoadResult run() {
    result_.records.resize(requests_.size());
    start_ = Clock::now();
    poll();
    send_due();
    if (!requests_.empty()) {
      client_.run();
    }
    result_.records.resize(next_);
    double first = 0, last = 0;
    if (next_ > 0) {
      first = result_.records.front().sent;
    }
    for (const RequestRecord& record : result_.records) {
      last = std::max(last, record.end);
    }
    result_.seconds = last - first;
    return std::move(result_);
  }

  double now() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  void end(size_t index, RequestRecord record) {
    result_.records[index] = std::move(record);
    --active_;
    ++answered_;
    if (result_.stopped) {
      return;
    }
    ask();
    if (answered_ == static_cast<int64_t>(requests_.size())) {
      client_.stop();
    } else {
      send_due();
    }
  }

 private:
  /// Sends all that may be sent now, and sees to it that it is called when the next one may.
  void send_due() {
    while (!result_.stopped && next_ < requests_.size() &&
           (most_at_once_ == 0 || active_ < most_at_once_)) {
      if (requests_[next_].due > now()) {
        wait_for_due();
        return;
      }
      send();
    }
  }

  void send() {
    LoadRequest& request = requests_[next_];
    const auto answer = std::make_shared<MeasuredAnswer>(*this, next_, request.due);
    ++next_;
    ++active_;
    result_.peak = std::max(result_.peak, active_);
    answer->reader().sent(now());
    client_.send(std::move(request.call), answer);
  }

  void wait_for_due() {
    if (waiting_) {
      return;
    }
    waiting_ = true;
    const auto due = std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(requests_[next_].due));
    // A moment later than rounded down, or the request would not be due yet.
    at(start_ + due + Clock::duration(1), [this] {
      waiting_ = false;
      send_due();
    });
  }

  void poll() {
    at(Clock::now() + kPoll, [this] {
      ask();
      poll();
    });
  }

  void ask() {
    if (!result_.stopped && !go_on_(answered_)) {
      result_.stopped = true;
      client_.cancel();
      client_.stop();
    }
  }

  template <typename Work>
  void at(Clock::time_point when, Work work) {
    client_.at(when, [alive = std::weak_ptr(alive_), work] {
      if (!alive.expired()) {
        work();
      }
    });
  }

  HttpClient& client_;
  std::vector<LoadRequest> requests_;
  int64_t most_at_once_;
  const std::function<bool(int64_t answered)>& go_on_;
  Clock::time_point start_;
  size_t next_ = 0;
  int64_t active_ = 0;
  int64_t answered_ = 0;
  bool waiting_ = false;  ///< for a request to be due
  LoadResult result_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
};

bool MeasuredAnswer::on_body(std::string_view piece) {
  return reader_.body(piece, load_.now());
}

void MeasuredAnswer::on_end(HttpEnd end, const std::string& message) {
  load_.end(index_, reader_.end(end, message, load_.now()));
}

}  // namespace

LoadResult run_load(HttpClient& client, std::vector<LoadRequest> requests, int64_t most_at_once,
                    const std::function<bool(int64_t answered)>& go_on) {
  return Load(client, std::move(requests), most_at_once, go_on).run();
}

}  // namespace mm
