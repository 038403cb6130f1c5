/// Assertions for our own mistakes. Errors of the world are `raise`d (error.h), never checked here.
#pragma once

#include "base/error.h"

namespace mm::internal {

[[noreturn]] inline void check_failed(const char* condition, const char* file, int line,
                                      const std::string& detail) {
  throw Error(ErrorKind::kInternal, fmt::format("check failed: {} ({}:{}){}{}", condition, file,
                                                line, detail.empty() ? "" : ": ", detail));
}
inline std::string check_detail() {
  return {};
}
template <typename... Args>
std::string check_detail(fmt::format_string<Args...> format, Args&&... args) {
  return fmt::format(format, std::forward<Args>(args)...);
}

}  // namespace mm::internal

/// MM_CHECK(cond) or MM_CHECK(cond, "format {}", value): throws kInternal with file and line.
#define MM_CHECK(condition, ...)                                               \
  do {                                                                         \
    if (!(condition)) [[unlikely]]                                             \
      ::mm::internal::check_failed(#condition, __FILE__, __LINE__,             \
                                   ::mm::internal::check_detail(__VA_ARGS__)); \
  } while (false)

/// MM_CHECK in debug builds, nothing in release builds: for inner loops.
#ifdef NDEBUG
#define MM_DCHECK(condition, ...) \
  do {                            \
  } while (false)
#else
#define MM_DCHECK(condition, ...) MM_CHECK(condition, ##__VA_ARGS__)
#endif
