/// A folder that appears under its name only when it is whole.
#pragma once

#include <string>

namespace mm {

/// Files are written to a folder beside `target`, which finish() moves into place. Destroyed
/// before finish(), it leaves nothing behind. Throws kBadInput when `target` is not empty, is a
/// file, or is `input` or inside it; kIo when the system refuses.
class OutputFolder {
 public:
  OutputFolder(const std::string& target, const std::string& input);
  ~OutputFolder();
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;

  /// Where to write until finish().
  const std::string& path() const { return partial_; }
  void finish();

 private:
  std::string target_;
  std::string partial_;
};

}  // namespace mm
