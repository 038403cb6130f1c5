#include "tests/cache/file_faults.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>

namespace mm {
namespace {

struct FaultPlan {
  Fault fault = Fault::kNone;
  int64_t index = 0;
  int error = 0;
};
FaultPlan plan;
bool no_links = false;
std::atomic<int64_t> operations = 0;  // threads may read files meanwhile

/// Whether this operation is the one. `before_kill` runs first if it is.
template <typename Call>
bool suffers(Call before_kill) {
  if (operations++ != plan.index || plan.fault == Fault::kNone)
    return false;
  before_kill();
  if (plan.fault == Fault::kKill)
    ::kill(::getpid(), SIGKILL);
  errno = plan.error;
  return true;
}
bool suffers() {
  return suffers([] {});
}

}  // namespace

void plan_fault(Fault fault, int64_t index, int error) {
  plan = {fault, index, error};
  operations = 0;
}
int64_t operation_count() {
  return operations;
}
void forbid_links(bool forbidden) {
  no_links = forbidden;
}

}  // namespace mm

// The names are the linker's.
// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier)
extern "C" {
int __real_open(const char* path, int flags, ...);
ssize_t __real_pwrite(int descriptor, const void* data, size_t size, off_t offset);
int __real_fsync(int descriptor);
int __real_rename(const char* from, const char* to);
int __real_link(const char* from, const char* to);
int __real_mkdir(const char* path, mode_t mode);
int __real_unlink(const char* path);
int __real_ftruncate(int descriptor, off_t size);

int __wrap_open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  return mm::suffers() ? -1 : __real_open(path, flags, mode);
}
ssize_t __wrap_pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  const auto half = [&] { (void)!__real_pwrite(descriptor, data, size / 2, offset); };
  return mm::suffers(half) ? -1 : __real_pwrite(descriptor, data, size, offset);
}
int __wrap_fsync(int descriptor) {
  return mm::suffers() ? -1 : __real_fsync(descriptor);
}
int __wrap_rename(const char* from, const char* to) {
  return mm::suffers() ? -1 : __real_rename(from, to);
}
int __wrap_link(const char* from, const char* to) {
  if (mm::no_links) {
    errno = EXDEV;
    return -1;
  }
  return mm::suffers() ? -1 : __real_link(from, to);
}
int __wrap_mkdir(const char* path, mode_t mode) {
  return mm::suffers() ? -1 : __real_mkdir(path, mode);
}
int __wrap_unlink(const char* path) {
  return mm::suffers() ? -1 : __real_unlink(path);
}
int __wrap_ftruncate(int descriptor, off_t size) {
  return mm::suffers() ? -1 : __real_ftruncate(descriptor, size);
}
}
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)
