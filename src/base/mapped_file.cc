#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace mm {
namespace {

struct FileDescriptor {
  int value;
  ~FileDescriptor() {
    if (value >= 0)
      ::close(value);
  }
};

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const FileDescriptor fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (fd.value < 0)
    raise(errno == ENOENT || errno == ENOTDIR ? ErrorKind::kNotFound : ErrorKind::kIo,
          "{}: cannot open: {}", path, std::strerror(errno));
  struct stat info {};
  if (::fstat(fd.value, &info) != 0)
    raise(ErrorKind::kIo, "{}: cannot stat: {}", path, std::strerror(errno));
  if (!S_ISREG(info.st_mode))
    bad_input("{}: not a regular file", path);
  size_ = static_cast<size_t>(info.st_size);
  if (size_ == 0)
    return;
  data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd.value, 0);
  if (data_ == MAP_FAILED) {
    data_ = nullptr;
    raise(ErrorKind::kIo, "{}: cannot map {} bytes: {}", path, size_, std::strerror(errno));
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr)
    ::munmap(data_, size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

void MappedFile::will_read_in_order() const noexcept {
  if (size_ > 0)
    ::madvise(data_, size_, MADV_SEQUENTIAL);
}

void MappedFile::read_ahead(size_t bytes) const noexcept {
  if (size_ > 0)
    ::madvise(data_, std::min(bytes, size_), MADV_WILLNEED);
}

void MappedFile::read_in(size_t begin, size_t end) const {
  MM_CHECK(begin <= end && end <= size_, "[{}, {}) of {} bytes", begin, end, size_);
  if (begin == end)
    return;
  begin -= begin % static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  // Systems before Linux 5.14 do not know this call (EINVAL); there a touch reads.
  while (::madvise(static_cast<char*>(data_) + begin, end - begin, MADV_POPULATE_READ) != 0) {
    if (errno == EFAULT || errno == EHWPOISON)
      raise(ErrorKind::kIo, "{}: cannot read bytes [{}, {}); the disk failed or the file was cut",
            path_, begin, end);
    if (errno != EINTR && errno != EAGAIN)
      return;
  }
}

}  // namespace mm
