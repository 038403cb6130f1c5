#include "base/log.h"

#define SPDLOG_FMT_EXTERNAL 1
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <mutex>

namespace mm {
namespace {

struct LogState {
  std::mutex mutex;
  LogSink sink;
  LogLevel least = LogLevel::kInfo;
};

/// The one process-wide setting: where log lines go.
LogState& log_state() {
  static LogState state;
  return state;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

}  // namespace

void set_log_sink(LogSink sink, LogLevel least) {
  LogState& state = log_state();
  const std::lock_guard lock(state.mutex);
  state.sink = std::move(sink);
  state.least = least;
}

LogSink stderr_log_sink() {
  auto logger = std::make_shared<spdlog::logger>(
      "minimax", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern("%^%l%$: %v");
  logger->set_level(spdlog::level::debug);
  return [logger](LogLevel level, std::string_view line) { logger->log(to_spdlog(level), line); };
}

void log_line(LogLevel level, std::string_view line) {
  LogState& state = log_state();
  const std::lock_guard lock(state.mutex);
  if (state.sink && level >= state.least)
    state.sink(level, line);
}

}  // namespace mm
