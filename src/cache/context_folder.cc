#include "cache/context_folder.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/check.h"
#include "base/mapped_file.h"
#include "base/output_file.h"
#include "cache/context_segment.h"

namespace mm {
namespace {

// What link() answers between file systems, and where links do not exist or are not allowed.
constexpr std::array kNoLinks = {EXDEV, EPERM, EMLINK, EOPNOTSUPP, ENOSYS};

void copy_file(const std::string& from, const std::string& to, const Hash128& checksum) {
  const MappedFile source(from);
  const Hash128 found = checksum_of(source);  // also reads it in, or says why not
  if (found != checksum)
    bad_input("{}: damaged: its checksum is {}, expected {}", from, to_hex(found),
              to_hex(checksum));
  OutputFile copy(to);
  copy.write_at(0, source.bytes());
  copy.finish();
}

bool is_leftover(const std::string& file, const ContextManifest& manifest) {
  if (file.ends_with(".partial"))
    return true;
  return file.starts_with("segment-") &&
         std::none_of(manifest.segments.begin(), manifest.segments.end(),
                      [&](const SegmentEntry& segment) { return segment.file == file; });
}

}  // namespace

std::string manifest_path(const std::string& folder) {
  return folder + "/manifest.json";
}

std::string read_manifest_text(const std::string& folder, const std::string& name) {
  try {
    return std::string(MappedFile(manifest_path(folder)).text());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound)
      throw;
    raise(ErrorKind::kNotFound, "context {} does not exist: no {}", name, manifest_path(folder));
  }
}

ContextManifest read_manifest(const std::string& folder, const std::string& name) {
  return parse_context_manifest(read_manifest_text(folder, name), manifest_path(folder));
}

void remove_unnamed_files(const std::string& folder, const ContextManifest& manifest) noexcept {
  try {
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
      if (is_leftover(file.path().filename(), manifest))
        ::unlink(file.path().c_str());
    }
  } catch (const std::exception&) {
    return;
  }
}

void share_file(const std::string& from, const std::string& to, const Hash128& checksum) {
  if (::link(from.c_str(), to.c_str()) == 0)
    return;
  if (std::find(kNoLinks.begin(), kNoLinks.end(), errno) != kNoLinks.end()) {
    copy_file(from, to, checksum);
    return;
  }
  raise(errno == ENOENT ? ErrorKind::kNotFound : ErrorKind::kIo, "{}: cannot link to {}: {}", from,
        to, std::strerror(errno));
}

}  // namespace mm
