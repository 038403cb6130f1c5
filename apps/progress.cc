#include "progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "output.h"

namespace mm::cli {

namespace {

constexpr double kBarDelay = 0.3;      // seconds before a bar appears
constexpr double kBarInterval = 0.1;   // between redraws
constexpr double kLineInterval = 5.0;  // between plain lines, the first included
constexpr int kBarWidth = 24;
constexpr const char* kClearLine = "\r\033[K";

std::string format_duration(double seconds) {
  const int64_t whole = std::llround(seconds);
  if (whole >= 3600) {
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  }
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string format_rate(double rate) {
  return rate >= 100 ? fmt::format("{:.0f}", rate) : fmt::format("{:.3g}", rate);
}

}  // namespace

ProgressStyle progress_style(bool quiet) {
  if (quiet) {
    return ProgressStyle::kNone;
  }
  return stderr_is_terminal() ? ProgressStyle::kBar : ProgressStyle::kLines;
}

std::string format_progress(const ProgressState& state, int width) {
  const double share =
      state.total > 0
          ? std::clamp(static_cast<double>(state.done) / static_cast<double>(state.total), 0.0, 1.0)
          : 0.0;
  std::string line = state.label;
  if (width > 0) {
    const int filled = static_cast<int>(share * width);
    line += " [" + std::string(static_cast<size_t>(filled), '#') +
            std::string(static_cast<size_t>(width - filled), '-') + "]";
  }
  line += fmt::format(" {:3.0f} %  {}/{} {}", share * 100, state.done, state.total, state.unit);
  if (state.seconds > 0 && state.done > 0) {
    const double rate = static_cast<double>(state.done) / state.seconds;
    const double left = static_cast<double>(std::max<int64_t>(0, state.total - state.done)) / rate;
    line += fmt::format("  {}/s  {} left", format_rate(rate), format_duration(left));
  }
  return line;
}

Progress::Progress(ProgressStyle style, std::string label, std::string unit) : style_(style) {
  state_.label = std::move(label);
  state_.unit = std::move(unit);
}

void Progress::update(int64_t done, int64_t total) {
  if (style_ == ProgressStyle::kNone) {
    return;
  }
  const Clock::time_point now = Clock::now();
  state_.done = done;
  state_.total = total;
  state_.seconds = std::chrono::duration<double>(now - start_).count();
  const bool bar = style_ == ProgressStyle::kBar;
  const double interval = bar ? (shown_ ? kBarInterval : kBarDelay) : kLineInterval;
  if (std::chrono::duration<double>(now - last_shown_).count() < interval) {
    return;
  }
  last_shown_ = now;
  shown_ = true;
  last_done_ = done;
  write_err(bar ? kClearLine + format_progress(state_, kBarWidth)
                : format_progress(state_, 0) + "\n");
}

void Progress::finish() {
  if (!shown_) {
    return;
  }
  shown_ = false;
  if (style_ == ProgressStyle::kBar) {
    write_err(kClearLine);
  } else if (state_.done != last_done_) {
    write_err(format_progress(state_, 0) + "\n");
  }
}

}  // namespace mm::cli
