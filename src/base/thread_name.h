/// Names of threads, as debuggers, top and /proc show them.
#pragma once

#include <pthread.h>

#include <string>

namespace mm {

/// Names the calling thread; what is behind the first 15 bytes is left out, the system takes no
/// more.
inline void name_this_thread(const std::string& name) {
  constexpr size_t kMaxBytes = 15;
  pthread_setname_np(pthread_self(), name.substr(0, kMaxBytes).c_str());
}

}  // namespace mm
