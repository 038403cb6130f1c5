/// An engine with a thread of its own: the door for several threads, a server's workers, say.
#pragma once

#include <future>
#include <memory>
#include <thread>

#include "engine/engine.h"

namespace mm {

/// Runs Engine::step() as long as there is work and sleeps otherwise. Member functions may be
/// called by any thread; events are delivered on the engine's thread, where a request's on_event
/// must not wait for anything this class does.
class EngineLoop {
 public:
  /// Takes the engine over: nobody else may call it until the loop is destroyed.
  explicit EngineLoop(Engine& engine);
  /// Cancels what still runs, delivers its last events and ends the thread.
  ~EngineLoop();
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  /// Like Engine::submit, errors included; returns when the request is queued.
  RequestId submit(EngineRequest request);
  /// Like Engine::cancel; returns at once.
  void cancel(RequestId id);
  EngineStats stats();

  /// Runs `work` on the engine's thread, between two steps, and returns when it is done: for all
  /// that has no function of its own here. Rethrows what it throws.
  void run(const std::function<void(Engine& engine)>& work);
  /// The same without waiting: for threads that must not. The result is ready when the work is done
  /// and holds what it threw; a loop that ends first breaks its promise.
  std::future<void> post(std::function<void(Engine& engine)> work);

  /// Runs `work` when the step or the posted work that calls this has ended: for what is done once
  /// for all events of a step. From callbacks on the engine's thread only.
  void afterwards(std::function<void()> work);

  /// Nothing more is taken (submit throws kUnsupported); returns when everything has ended.
  void drain();

 private:
  struct Shared;

  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace mm
