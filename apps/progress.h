/// How far long work has come.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace mm::cli {

enum class ProgressStyle {
  kNone,   ///< --quiet
  kLines,  ///< a plain line every few seconds: stderr is a file or a pipe
  kBar     ///< one line redrawn in place
};

/// The style for this process's stderr.
ProgressStyle progress_style(bool quiet);

/// The state of some work as one line of text without colour, e.g.
/// "prefill [#####-----]  50 %  512/1024 tokens  2,048/s  0:01 left". `width` is that of the bar
/// (0: none).
struct ProgressState {
  std::string label;
  std::string unit;
  int64_t done = 0;
  int64_t total = 0;
  double seconds = 0;
};
std::string format_progress(const ProgressState& state, int width);

/// Shows work on stderr once it has lasted longer than a moment, so that quick work shows nothing.
class Progress {
 public:
  Progress(ProgressStyle style, std::string label, std::string unit);
  ~Progress() { finish(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(int64_t done, int64_t total);
  /// Removes the bar; a plain last line if one was shown before and work has gone on.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  ProgressStyle style_;
  ProgressState state_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point last_shown_ = start_;
  bool shown_ = false;
  int64_t last_done_ = -1;  ///< of the last line shown
};

}  // namespace mm::cli
