/// A file that appears under its name only when it is whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace mm {

/// kIo because nothing more can be written: the disk is full, or a quota or a limit on file sizes
/// is reached. For callers who can say what to do about that.
class DiskFull : public Error {
 public:
  explicit DiskFull(std::string message) : Error(ErrorKind::kIo, std::move(message)) {}
};

/// Writes to a temporary file beside `path`; finish() makes it durable and renames it over `path`.
/// Destroyed before finish(), it leaves nothing behind. Throws kIo (DiskFull where that is why),
/// kNotFound if the folder does not exist.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  /// Writes at an offset from the start; gaps read as zeros.
  void write_at(int64_t offset, std::span<const std::byte> bytes);
  /// Flushes to the device and renames. Nothing may be written afterwards.
  void finish();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

/// Makes what was created, renamed or linked in a folder survive a power cut. File systems that
/// refuse to sync a folder are left alone.
void sync_folder(const std::string& folder);

/// Writes a whole text file through OutputFile.
void write_text_file(const std::string& path, std::string_view text);

}  // namespace mm
