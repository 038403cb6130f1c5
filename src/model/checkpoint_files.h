/// The safetensors files of a model folder as one set of named tensors.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/safetensors.h"

namespace mm {

/// Maps `model.safetensors`, or the shards that `model.safetensors.index.json` names.
///
/// Shard names may be numbered from zero or one, or be anything else inside the folder. Throws
/// kNotFound if there are no weights or a shard is missing, kBadInput if the index and the shards
/// disagree about any tensor, if both forms are present, or if a shard's name leaves the folder.
class CheckpointFiles {
 public:
  struct Entry {
    const StoredTensor* tensor = nullptr;
    const SafetensorsFile* file = nullptr;
  };

  explicit CheckpointFiles(const std::string& folder);

  /// Null if there is no such tensor.
  const Entry* find(std::string_view name) const;
  const std::map<std::string, Entry, std::less<>>& entries() const { return entries_; }
  const std::vector<std::shared_ptr<const SafetensorsFile>>& files() const { return files_; }
  const std::string& folder() const { return folder_; }

 private:
  void open_shards(const std::string& index_path);
  void add_file(std::shared_ptr<const SafetensorsFile> file);

  std::string folder_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::map<std::string, Entry, std::less<>> entries_;
};

/// The `weight_map` of an index, tensor name to file name. Throws kBadInput for a broken index, a
/// tensor listed twice, or a file name that is not a plain name inside the folder.
std::map<std::string, std::string, std::less<>> read_weight_map(const std::string& index_path);

}  // namespace mm
