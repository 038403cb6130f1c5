#include "model/output_folder.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"

namespace mm {
namespace {

namespace fs = std::filesystem;

/// Absolute, links resolved, no trailing slash.
fs::path resolve(const std::string& name) {
  std::error_code error;
  const fs::path path = fs::weakly_canonical(fs::absolute(name, error), error);
  if (error)
    raise(ErrorKind::kIo, "{}: {}", name, error.message());
  return path.has_filename() ? path : path.parent_path();
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
         folder.end();
}

}  // namespace

OutputFolder::OutputFolder(const std::string& target, const std::string& input)
    : target_(resolve(target).string()),
      partial_(fmt::format("{}.{}.partial", target_, ::getpid())) {
  if (is_inside(target_, resolve(input)))
    bad_input("{}: the output folder is the input folder {} or lies in it, expected another place",
              target, input);
  std::error_code error;
  const bool present = fs::exists(target_, error);
  if (present && !fs::is_directory(target_, error))
    bad_input("{}: a file, expected a folder that is empty or does not exist", target);
  if (present && !fs::is_empty(target_, error))
    bad_input("{}: not empty, expected a folder that is empty or does not exist", target);
  if (!fs::create_directories(partial_, error) || error)
    raise(ErrorKind::kIo, "{}: cannot create: {}", partial_,
          error ? error.message() : "it exists already");
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  if (!partial_.empty())
    fs::remove_all(partial_, ignored);
}

void OutputFolder::finish() {
  std::error_code error;
  fs::rename(partial_, target_, error);
  if (error)
    raise(ErrorKind::kIo, "{}: cannot rename to {}: {}", partial_, target_, error.message());
  partial_.clear();
}

}  // namespace mm
