#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <vector>

#include "base/error.h"

namespace mm {
namespace {

TEST(ThreadPoolTest, EveryThreadRunsOnce) {
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    std::vector<int> calls(static_cast<size_t>(threads));
    for (int round = 0; round < 200; ++round)
      pool.run([&](int thread) { ++calls[static_cast<size_t>(thread)]; });
    for (int count : calls) EXPECT_EQ(count, 200);
  }
}

TEST(ThreadPoolTest, ParallelForCoversTheRangeInGrains) {
  ThreadPool pool(3);
  for (int64_t count : {0, 1, 7, 8, 9, 100, 1001}) {
    std::vector<int> hits(static_cast<size_t>(count));
    pool.parallel_for(count, 8, [&](int64_t begin, int64_t end, int) {
      EXPECT_EQ(begin % 8, 0);
      for (int64_t i = begin; i < end; ++i) ++hits[static_cast<size_t>(i)];
    });
    for (int hit : hits) EXPECT_EQ(hit, 1);
  }
}

TEST(ThreadPoolTest, RethrowsAndGoesOn) {
  ThreadPool pool(2);
  EXPECT_THROW(pool.run([](int) { bad_input("no"); }), Error);
  std::atomic<int> calls{0};
  pool.run([&](int) { ++calls; });
  EXPECT_EQ(calls.load(), 2);
}

TEST(ThreadPoolTest, WakesAfterSleeping) {
  ThreadPool pool(2);
  std::atomic<int> calls{0};
  for (int round = 0; round < 3; ++round) {
    pool.run([&](int) { ++calls; });
    usleep(20000);  // long past the spinning phase
  }
  EXPECT_EQ(calls.load(), 6);
}

TEST(ThreadPoolTest, RefusesAbsurdSizes) {
  EXPECT_THROW(ThreadPool(0), Error);
  EXPECT_THROW(ThreadPool(1 << 20), Error);
}

}  // namespace
}  // namespace mm
