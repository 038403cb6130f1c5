#include "base/thread_name.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

namespace mm {
namespace {

/// The name a thread has after it gave itself one.
std::string name_of_thread_named(const std::string& name) {
  std::array<char, 64> buffer{};
  std::thread([&] {
    name_this_thread(name);
    pthread_getname_np(pthread_self(), buffer.data(), buffer.size());
  }).join();
  return buffer.data();
}

TEST(ThreadName, IsWhatItWasSetTo) {
  EXPECT_EQ(name_of_thread_named("http 1"), "http 1");
}

TEST(ThreadName, LongOnesAreCut) {
  EXPECT_EQ(name_of_thread_named("a name of many bytes"), "a name of many ");
}

}  // namespace
}  // namespace mm
