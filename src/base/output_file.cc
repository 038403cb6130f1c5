#include "base/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/check.h"

namespace mm {

namespace {

/// Throws what a failed write means.
[[noreturn]] void raise_write_error(int error, const std::string& message) {
  std::string text = fmt::format("{}: {}", message, std::strerror(error));
  if (error == ENOSPC || error == EDQUOT || error == EFBIG)
    throw DiskFull(std::move(text));
  throw Error(ErrorKind::kIo, std::move(text));
}

}  // namespace

void sync_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    return;
  ::fsync(descriptor);
  ::close(descriptor);
}

OutputFile::OutputFile(const std::string& path) : path_(path) {
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    temporary_ = fmt::format("{}.{}-{}.partial", path, ::getpid(), attempt);
    descriptor_ = ::open(temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && (errno == ENOENT || errno == ENOTDIR))
      raise(ErrorKind::kNotFound, "{}: cannot create: {}", path, std::strerror(errno));
    if (descriptor_ < 0 && errno != EEXIST)
      raise_write_error(errno, fmt::format("{}: cannot create", path));
  }
}

OutputFile::~OutputFile() {
  if (descriptor_ < 0)
    return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void OutputFile::write_at(int64_t offset, std::span<const std::byte> bytes) {
  MM_CHECK(descriptor_ >= 0, "{} is finished", path_);
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      raise_write_error(written < 0 ? errno : ENOSPC, fmt::format("{}: cannot write {} bytes at {}",
                                                                  path_, bytes.size(), offset));
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += written;
  }
}

void OutputFile::finish() {
  MM_CHECK(descriptor_ >= 0, "{} is finished", path_);
  if (::fsync(descriptor_) != 0)
    raise_write_error(errno, fmt::format("{}: cannot flush", path_));
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    raise_write_error(errno, fmt::format("{}: cannot rename {}", path_, temporary_));
  ::close(descriptor_);
  descriptor_ = -1;
  // A rename survives a power cut only once its folder is on the device too.
  const std::filesystem::path folder = std::filesystem::path(path_).parent_path();
  sync_folder(folder.empty() ? "." : folder.string());
}

void write_text_file(const std::string& path, std::string_view text) {
  OutputFile file(path);
  file.write_at(0, std::as_bytes(std::span(text.data(), text.size())));
  file.finish();
}

}  // namespace mm
