/// Threads for work that waits for a disk, so that those of the server need not.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace mm {

class WorkThreads {
 public:
  explicit WorkThreads(int count);
  /// Lets what runs end; what waits never runs.
  ~WorkThreads();
  WorkThreads(const WorkThreads&) = delete;
  WorkThreads& operator=(const WorkThreads&) = delete;

  /// Runs `job` soon, after those that were posted before it began; it must not throw. Any thread
  /// may call.
  void post(std::function<void()> job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace mm
