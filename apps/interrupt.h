/// Ctrl-C, and everything else that ends a program early without being an error.
#pragma once

namespace mm::cli {

/// Exit codes of the program.
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;
constexpr int kInterrupted = 130;  ///< 128 + SIGINT, as shells report it

/// Thrown where work notices that the user pressed Ctrl-C; main exits with kInterrupted.
struct Interrupted {};

/// From now on SIGINT and SIGTERM exit at once with kInterrupted, except inside an InterruptScope.
void install_interrupt_handler();

/// While one lives, a first Ctrl-C only sets interrupted(): the work polls it, finishes what it was
/// writing and stops. A second one exits at once.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
};

/// Whether Ctrl-C was pressed since the scope began (or clear_interrupted()).
bool interrupted();
void clear_interrupted();

/// Throws Interrupted if interrupted().
void throw_if_interrupted();

}  // namespace mm::cli
