/// The lock that makes a context have at most one writer, on this machine.
#pragma once

#include <string>
#include <utility>

#include "base/error.h"

namespace mm {

/// kBadInput because of who else is there: the context exists already, or is being written. The
/// same call may do once it does not, or is not.
class ContextConflict : public Error {
 public:
  explicit ContextConflict(std::string message) : Error(ErrorKind::kBadInput, std::move(message)) {}
};

/// Holds flock() on `<folder>/lock`, which names the process. The system lets go of it when the
/// process ends, however it ends. The file stays.
class ContextLock {
 public:
  /// Throws ContextConflict "context NAME is being written by process PID" if another one holds it,
  /// kNotFound if the folder does not exist, kIo.
  ContextLock(const std::string& folder, const std::string& name);
  ~ContextLock();
  ContextLock(ContextLock&& other) noexcept;
  ContextLock(const ContextLock&) = delete;
  ContextLock& operator=(const ContextLock&) = delete;
  ContextLock& operator=(ContextLock&&) = delete;

  /// False once it was moved from.
  bool held() const { return descriptor_ >= 0; }
  static std::string path_in(const std::string& folder) { return folder + "/lock"; }

 private:
  int descriptor_ = -1;
};

}  // namespace mm
