#include "cache/context_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace mm {
namespace {

// Closes when the constructor throws, for then no destructor of the lock runs.
struct Descriptor {
  int value;

  explicit Descriptor(int opened) : value(opened) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value >= 0)
      ::close(value);
  }
};

// Who holds the lock wrote its id into the file, perhaps not quite yet.
std::string holder(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = ::pread(descriptor, text.data(), text.size(), 0);
  std::string id(text.data(), size > 0 ? static_cast<size_t>(size) : 0);
  id.erase(std::min(id.find_first_not_of("0123456789"), id.size()));
  return id.empty() ? "another process" : "process " + id;
}

int open_lock(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0)
    raise(errno == ENOENT || errno == ENOTDIR ? ErrorKind::kNotFound : ErrorKind::kIo,
          "{}: cannot open: {}", path, std::strerror(errno));
  return descriptor;
}

// For messages only, so it does not matter if the disk is full.
void write_id(int descriptor) {
  const std::string id = std::to_string(::getpid()) + "\n";
  if (::ftruncate(descriptor, 0) != 0 || ::pwrite(descriptor, id.data(), id.size(), 0) < 0)
    return;
}

// A folder that was removed or renamed meanwhile took the locked file along.
bool is_still_at(int descriptor, const std::string& path) {
  struct stat held {};
  struct stat named {};
  return ::fstat(descriptor, &held) == 0 && ::stat(path.c_str(), &named) == 0 &&
         held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

}  // namespace

ContextLock::ContextLock(const std::string& folder, const std::string& name) {
  const std::string path = path_in(folder);
  Descriptor lock(open_lock(path));
  if (::flock(lock.value, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK)
      raise(ErrorKind::kIo, "{}: cannot lock: {}", path, std::strerror(error));
    throw ContextConflict(
        fmt::format("context {} is being written by {}; wait for it to end, or stop it", name,
                    holder(lock.value)));
  }
  if (!is_still_at(lock.value, path))
    raise(ErrorKind::kNotFound, "context {} was removed by another process; try again", name);
  write_id(lock.value);
  descriptor_ = std::exchange(lock.value, -1);
}

ContextLock::~ContextLock() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
}

ContextLock::ContextLock(ContextLock&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

}  // namespace mm
