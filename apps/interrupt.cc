#include "interrupt.h"

#include <unistd.h>

#include <csignal>

namespace mm::cli {

namespace {

// A signal handler can reach nothing but globals.
// NOLINTBEGIN(cppcoreguidelines-avoid-non-const-global-variables)
volatile std::sig_atomic_t polling = 0;
volatile std::sig_atomic_t was_raised = 0;
// NOLINTEND(cppcoreguidelines-avoid-non-const-global-variables)

void on_signal(int) {
  if (polling == 0 || was_raised != 0) {
    _exit(kInterrupted);
  }
  was_raised = 1;
}

}  // namespace

void install_interrupt_handler() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // no SA_RESTART: a blocked read returns
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

InterruptScope::InterruptScope() {
  was_raised = 0;
  polling = 1;
}

InterruptScope::~InterruptScope() {
  polling = 0;
}

bool interrupted() {
  return was_raised != 0;
}

void clear_interrupted() {
  was_raised = 0;
}

void throw_if_interrupted() {
  if (interrupted()) {
    throw Interrupted{};
  }
}

}  // namespace mm::cli
