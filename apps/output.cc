#include "output.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/error.h"
#include "base/mapped_file.h"
#include "interrupt.h"

namespace mm::cli {

namespace {

/// False with errno set when the descriptor takes no more.
bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      return false;
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

void write_out(std::string_view text) {
  if (write_all(STDOUT_FILENO, text)) {
    return;
  }
  if (errno == EPIPE) {
    throw OutputClosed{};
  }
  raise(ErrorKind::kIo, "cannot write to standard output: {}", std::strerror(errno));
}

void write_err(std::string_view text) {
  write_all(STDERR_FILENO, text);
}

void ignore_closed_pipes() {
  std::signal(SIGPIPE, SIG_IGN);
}

std::string read_stdin() {
  std::string text;
  std::array<char, 65536> buffer;
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count == 0) {
      return text;
    }
    if (count < 0) {
      throw_if_interrupted();
      if (errno == EINTR) {
        continue;
      }
      raise(ErrorKind::kIo, "cannot read standard input: {}", std::strerror(errno));
    }
    text.append(buffer.data(), static_cast<size_t>(count));
  }
}

std::string read_text_file(const std::string& path) {
  return std::string(MappedFile(path).text());
}

bool stdin_is_terminal() {
  return isatty(STDIN_FILENO) != 0;
}

bool stderr_is_terminal() {
  return isatty(STDERR_FILENO) != 0;
}

}  // namespace mm::cli
