/// Our own thread pool: a fixed team that runs one function together and meets at one barrier.
///
/// Goals: a barrier of about a microsecond (a decode step has hundreds); static partition, so that
/// who computes what depends on the problem alone. Non-goals: queues, futures, nested parallelism.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>

#include "base/function_ref.h"

namespace mm {

class ThreadPool {
 public:
  /// `threads` ≥ 1 counts the caller: ThreadPool(1) starts nothing and runs everything inline.
  /// Throws kBadInput if threads < 1 or > 1024.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return size_; }

  /// Calls work(thread) for thread = 0 … size()-1, one each, and returns when all are done.
  /// The first exception of any of them is rethrown here. One caller at a time; not reentrant.
  void run(FunctionRef<void(int thread)> work);

  /// Calls work(begin, end, thread) on one contiguous share of [0, count) per thread; shares are
  /// multiples of `grain` (but the last). Runs inline when count ≤ grain.
  void parallel_for(int64_t count, int64_t grain,
                    FunctionRef<void(int64_t begin, int64_t end, int thread)> work);

 private:
  struct Shared;
  int size_;
  std::unique_ptr<Shared> shared_;
};

/// Number of cores this process may use (its affinity mask).
int available_cores();

}  // namespace mm
