/// A read-only file mapped into memory.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace mm {

/// Maps a whole file; pages are read when they are touched. Empty files are allowed.
/// Throws kNotFound if it does not exist, kBadInput if it is a folder, kIo otherwise.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  std::string_view text() const { return {static_cast<const char*>(data_), size_}; }
  const std::string& path() const { return path_; }

  /// Tells the system that the file will be read from front to back, so that it reads far ahead.
  void will_read_in_order() const noexcept;
  /// Asks the system to read the first `bytes` bytes in the background.
  void read_ahead(size_t bytes) const noexcept;
  /// Reads bytes [begin, end) in now. Throws kIo if that fails, where merely touching them would
  /// end the process.
  void read_in(size_t begin, size_t end) const;

 private:
  std::string path_;
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace mm
