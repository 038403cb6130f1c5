/// Log lines of library code. Nothing below the programs writes to a stream itself: a program
/// chooses the sink.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string_view>
#include <utility>

namespace mm {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

/// Receives every line at or above the level. Called from any thread, one call at a time.
using LogSink = std::function<void(LogLevel, std::string_view)>;

/// Replaces the sink (empty: discard, the default) and the least level that reaches it.
void set_log_sink(LogSink sink, LogLevel least);
/// A sink that writes "level: line" to stderr, coloured on a terminal.
LogSink stderr_log_sink();

void log_line(LogLevel level, std::string_view line);

template <typename... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace mm
