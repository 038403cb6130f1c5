#include "serve/work_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

namespace mm {

TEST(WorkThreads, OneThatWaitsLeavesTheOthersFree) {
  std::promise<void> go;
  std::promise<void> done;
  WorkThreads threads(2);
  threads.post([waiting = go.get_future().share()] { waiting.wait(); });
  threads.post([&] { done.set_value(); });
  done.get_future().wait();
  go.set_value();
}

TEST(WorkThreads, LetsWhatRunsEndAndKeepsNothing) {
  std::promise<void> begun;
  std::promise<void> go;
  std::atomic<bool> ended = false;
  const auto held = std::make_shared<int>(0);
  auto threads = std::make_unique<WorkThreads>(1);
  threads->post([&] {
    begun.set_value();
    go.get_future().wait();
    ended = true;
  });
  threads->post([held] {});
  begun.get_future().wait();
  std::thread ending([&] { threads.reset(); });
  go.set_value();
  ending.join();
  EXPECT_TRUE(ended);
  EXPECT_EQ(held.use_count(), 1);
}

}  // namespace mm
