/// The one exception of the project.
#pragma once

#include <fmt/format.h>

#include <exception>
#include <string>
#include <utility>

namespace mm {

/// What kind of thing went wrong; decides exit codes and HTTP statuses, never the wording.
enum class ErrorKind {
  kBadInput,     ///< a file, request or argument that is not what its format promises
  kNotFound,     ///< a file, model or name that does not exist
  kUnsupported,  ///< well formed, but something this build or device cannot do
  kTooLarge,     ///< over a stated limit
  kOutOfMemory,  ///< the memory budget or the machine is exhausted
  kIo,           ///< the operating system refused a read or write
  kDevice,       ///< an accelerator failed; sticky
  kInternal,     ///< our own mistake
};

/// Short name of a kind, e.g. "bad input".
const char* to_string(ErrorKind kind);

/// An error with a sentence: what is wrong with the value, where, what was expected, what to do.
class Error : public std::exception {
 public:
  Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
  std::string message_;
};

/// Throws an Error whose message is formatted from `format` and `args`.
template <typename... Args>
[[noreturn]] void raise(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

/// raise(ErrorKind::kBadInput, …): the most common case by far.
template <typename... Args>
[[noreturn]] void bad_input(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::kBadInput, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace mm
