#include "engine/engine_loop.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "base/thread_name.h"

namespace mm {

struct EngineLoop::Shared {
  explicit Shared(Engine& e) : engine(e) {}

  using Task = std::packaged_task<void(Engine&)>;

  Engine& engine;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Task> inbox;
  std::vector<std::function<void()>> afterwards;  // the engine's thread alone
  bool stopping = false;
  bool draining = false;
  bool idle = true;  // nothing is queued and nothing runs

  /// The next task; waits for one if `may_wait`. None when there is none.
  std::optional<Task> next(bool may_wait) {
    std::unique_lock lock(mutex);
    if (may_wait && inbox.empty()) {
      idle = true;
      changed.notify_all();
      changed.wait(lock, [&] { return !inbox.empty() || stopping; });
      idle = false;
    }
    if (inbox.empty()) {
      return std::nullopt;
    }
    Task task = std::move(inbox.front());
    inbox.pop_front();
    return task;
  }

  /// What a step or a task has left to do behind it; that may leave more.
  void run_afterwards() {
    while (!afterwards.empty()) {
      for (const auto& each : std::exchange(afterwards, {})) {
        each();
      }
    }
  }

  bool is_stopping() {
    const std::lock_guard lock(mutex);
    return stopping;
  }

  void work() {
    while (!is_stopping()) {
      while (std::optional<Task> task = next(engine.idle())) {
        (*task)(engine);
        run_afterwards();
      }
      engine.step();
      run_afterwards();
    }
  }
};

EngineLoop::EngineLoop(Engine& engine)
    : shared_(std::make_shared<Shared>(engine)), thread_([shared = shared_] {
        name_this_thread("engine");
        shared->work();
      }) {}

EngineLoop::~EngineLoop() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
  }
  shared_->changed.notify_all();
  thread_.join();
  // What was posted and never ran breaks its promise; what runs is told.
  shared_->inbox.clear();
  shared_->engine.cancel_all();
  shared_->run_afterwards();
}

std::future<void> EngineLoop::post(std::function<void(Engine& engine)> work) {
  Shared::Task task(std::move(work));
  std::future<void> done = task.get_future();
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->inbox.push_back(std::move(task));
    shared_->idle = false;
  }
  shared_->changed.notify_all();
  return done;
}

void EngineLoop::afterwards(std::function<void()> work) {
  shared_->afterwards.push_back(std::move(work));
}

void EngineLoop::run(const std::function<void(Engine& engine)>& work) {
  post(work).get();
}

RequestId EngineLoop::submit(EngineRequest request) {
  RequestId id = 0;
  run([&](Engine& engine) {
    if (shared_->draining) {
      raise(ErrorKind::kUnsupported, "the engine is shutting down and takes no more requests");
    }
    id = engine.submit(std::move(request));
  });
  return id;
}

void EngineLoop::cancel(RequestId id) {
  post([id](Engine& engine) { engine.cancel(id); });
}

EngineStats EngineLoop::stats() {
  EngineStats stats;
  run([&](const Engine& engine) { stats = engine.stats(); });
  return stats;
}

void EngineLoop::drain() {
  run([&](Engine&) { shared_->draining = true; });
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait(lock, [&] { return shared_->idle; });
}

}  // namespace mm
