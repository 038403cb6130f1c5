#include "model/model_hash.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <span>

#include "base/hash.h"
#include "base/mapped_file.h"
#include "model/checkpoint_files.h"

namespace mm {
namespace {

constexpr size_t kWhole = size_t{64} << 20;
constexpr size_t kSample = size_t{64} << 10;
constexpr size_t kSamples = 1024;

void add_number(Hasher128& hasher, uint64_t value) {
  hasher.update(std::as_bytes(std::span(&value, 1)));
}

/// The beginning (which is the header), then samples in order.
void add_file(Hasher128& hasher, std::span<const std::byte> bytes) {
  add_number(hasher, bytes.size());
  hasher.update(bytes.first(std::min(bytes.size(), kWhole)));
  if (bytes.size() <= kWhole) {
    return;
  }
  const std::span<const std::byte> rest = bytes.subspan(kWhole);
  const size_t stride = std::max(rest.size() / kSamples, kSample);
  for (size_t at = 0; at < rest.size(); at += stride) {
    hasher.update(rest.subspan(at, std::min(kSample, rest.size() - at)));
  }
}

}  // namespace

std::string hash_model_folder(const std::string& folder) {
  Hasher128 hasher;
  add_file(hasher, MappedFile(folder + "/config.json").bytes());
  const CheckpointFiles files(folder);
  // In the order of their names, which the index decides and not the file system.
  std::set<std::string> paths;
  for (const auto& file : files.files()) {
    paths.insert(file->path());
  }
  for (const std::string& path : paths) {
    add_file(hasher, MappedFile(path).bytes());
  }
  return to_hex(hasher.digest());
}

}  // namespace mm
