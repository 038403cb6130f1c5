#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/thread_name.h"

namespace mm {
namespace {

constexpr int kMaxThreads = 1024;
// About 50 µs of polling before a thread sleeps: longer than the gap between two ops of a step,
// shorter than what a person would notice as an idle process burning a core.
constexpr int kSpins = 4000;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0)
    return 1;
  return std::max(1, CPU_COUNT(&set));
}

// A run is an epoch. Each thread's share of it is claimed once, by that thread or, when it has not
// started by the time the caller is done with its own share, by the caller: a thread that the
// system has not scheduled delays nobody.
struct ThreadPool::Shared {
  struct alignas(64) Share {
    std::atomic<uint64_t> claimed{0};  // the last epoch in which it was claimed
  };

  explicit Shared(int size) : shares(static_cast<size_t>(size)) {}

  alignas(64) std::atomic<uint64_t> epoch{0};
  alignas(64) std::atomic<int> pending{0};  // shares of this epoch not yet finished
  alignas(64) std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable wake;
  int sleepers = 0;  // guarded by mutex
  const FunctionRef<void(int)>* work = nullptr;
  std::exception_ptr error;  // guarded by mutex
  std::vector<Share> shares;
  std::vector<std::thread> threads;

  /// Runs one thread's share of epoch `now` unless someone has claimed it. The epoch cannot end
  /// between the claim and the call, since it waits for every claimed share.
  void try_share(int thread, uint64_t now) {
    uint64_t previous = now - 1;
    if (!shares[static_cast<size_t>(thread)].claimed.compare_exchange_strong(
            previous, now, std::memory_order_acq_rel)) {
      return;
    }
    try {
      (*work)(thread);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!error)
        error = std::current_exception();
    }
    pending.fetch_sub(1, std::memory_order_acq_rel);
  }

  /// Returns the new epoch, having waited until it differs from `seen`.
  uint64_t wait_for_work(uint64_t seen) {
    for (int spin = 0; spin < kSpins; ++spin) {
      const uint64_t now = epoch.load(std::memory_order_acquire);
      if (now != seen)
        return now;
      relax();
    }
    std::unique_lock lock(mutex);
    ++sleepers;
    wake.wait(lock, [&] { return epoch.load(std::memory_order_acquire) != seen; });
    --sleepers;
    return epoch.load(std::memory_order_acquire);
  }

  void loop(int thread) {
    uint64_t seen = 0;
    while (true) {
      seen = wait_for_work(seen);
      if (stop.load(std::memory_order_acquire))
        return;
      try_share(thread, seen);
    }
  }

  uint64_t start_epoch() {
    bool sleeping = false;
    uint64_t now = 0;
    {
      const std::lock_guard lock(mutex);
      now = epoch.fetch_add(1, std::memory_order_acq_rel) + 1;
      sleeping = sleepers > 0;
    }
    if (sleeping)
      wake.notify_all();
    return now;
  }
};

ThreadPool::ThreadPool(int threads) : size_(threads), shared_() {
  if (threads < 1 || threads > kMaxThreads)
    bad_input("threads: {} is out of range, expected 1 to {}", threads, kMaxThreads);
  shared_ = std::make_unique<Shared>(threads);
  for (int i = 1; i < threads; ++i)
    shared_->threads.emplace_back([shared = shared_.get(), i] {
      name_this_thread("pool " + std::to_string(i));
      shared->loop(i);
    });
}

ThreadPool::~ThreadPool() {
  shared_->stop.store(true, std::memory_order_release);
  shared_->start_epoch();
  for (std::thread& thread : shared_->threads) thread.join();
}

void ThreadPool::run(FunctionRef<void(int)> work) {
  if (size_ == 1) {
    work(0);
    return;
  }
  shared_->work = &work;
  shared_->pending.store(size_, std::memory_order_relaxed);
  const uint64_t now = shared_->start_epoch();
  for (int thread = 0; thread < size_; ++thread) shared_->try_share(thread, now);
  for (int spin = 0; shared_->pending.load(std::memory_order_acquire) != 0; ++spin) {
    relax();
    if (spin >= kSpins) {  // more threads than cores: let the others run
      std::this_thread::yield();
      spin = 0;
    }
  }
  if (shared_->error) {
    const std::exception_ptr error = std::exchange(shared_->error, nullptr);
    std::rethrow_exception(error);
  }
}

void ThreadPool::parallel_for(int64_t count, int64_t grain,
                              FunctionRef<void(int64_t, int64_t, int)> work) {
  if (count <= 0)
    return;
  if (count <= grain || size_ == 1) {
    work(0, count, 0);
    return;
  }
  const int64_t units = (count + grain - 1) / grain;
  run([&](int thread) {
    const int64_t begin = units * thread / size_ * grain;
    const int64_t end = std::min(count, units * (thread + 1) / size_ * grain);
    if (begin < end)
      work(begin, end, thread);
  });
}

}  // namespace mm
