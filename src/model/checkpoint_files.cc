#include "model/checkpoint_files.h"

#include <filesystem>

#include "base/error.h"
#include "base/json.h"

namespace mm {
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

std::string in_folder(const std::string& folder, const std::string& name) {
  return (std::filesystem::path(folder) / name).string();
}

// An index comes from outside: it may name files beside itself and nothing else.
void check_shard_name(const std::string& index_path, const std::string& tensor,
                      std::string_view file) {
  const bool plain = !file.empty() && file != "." && file != ".." &&
                     file.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
  if (!plain)
    bad_input("{}: tensor {} is in file \"{}\", expected the plain name of a file in the folder",
              index_path, tensor, file);
}

bool exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

}  // namespace

std::map<std::string, std::string, std::less<>> read_weight_map(const std::string& index_path) {
  const JsonDocument document = JsonDocument::read(index_path);
  const std::optional<JsonView> map = document.root().find("weight_map");
  if (!map)
    bad_input("{}: weight_map is missing", index_path);
  std::map<std::string, std::string, std::less<>> files;
  for (const auto& [name, value] : map->members(index_path + ": weight_map")) {
    const std::string tensor(name);
    const std::string_view file = value.as_string(index_path + ": weight_map: " + tensor);
    check_shard_name(index_path, tensor, file);
    if (!files.emplace(tensor, file).second)
      bad_input("{}: tensor {} is listed twice", index_path, tensor);
  }
  if (files.empty())
    bad_input("{}: weight_map is empty", index_path);
  return files;
}

CheckpointFiles::CheckpointFiles(const std::string& folder) : folder_(folder) {
  const std::string single = in_folder(folder, kSingleFile);
  const std::string index = in_folder(folder, kIndexFile);
  if (exists(index)) {
    open_shards(index);
    if (exists(single) && files_.front()->path() != single)
      bad_input("{}: both {} and {} are present; remove the wrong one", folder, kSingleFile,
                kIndexFile);
    return;
  }
  if (!exists(single))
    raise(ErrorKind::kNotFound, "{}: no weights: neither {} nor {} is there", folder, kSingleFile,
          kIndexFile);
  add_file(std::make_shared<SafetensorsFile>(single));
}

void CheckpointFiles::open_shards(const std::string& index_path) {
  const auto weight_map = read_weight_map(index_path);
  std::map<std::string, int64_t> counts;
  for (const auto& [tensor, file] : weight_map) ++counts[file];
  for (const auto& [name, count] : counts) {
    const std::string path = in_folder(folder_, name);
    if (!exists(path))
      raise(ErrorKind::kNotFound, "{}: missing; {} places {} tensors in it", path, index_path,
            count);
    auto file = std::make_shared<SafetensorsFile>(path);
    for (const StoredTensor& tensor : file->tensors()) {
      const auto listed = weight_map.find(tensor.name);
      if (listed == weight_map.end())
        bad_input("{}: tensor {} is not listed in {}", path, tensor.name, index_path);
      if (listed->second != name)
        bad_input("{}: tensor {} is here, but {} places it in {}", path, tensor.name, index_path,
                  listed->second);
    }
    add_file(std::move(file));
  }
  for (const auto& [tensor, file] : weight_map) {
    if (find(tensor) == nullptr)
      bad_input("{}: tensor {} is missing; {} places it here", in_folder(folder_, file), tensor,
                index_path);
  }
}

void CheckpointFiles::add_file(std::shared_ptr<const SafetensorsFile> file) {
  for (const StoredTensor& tensor : file->tensors())
    entries_.emplace(tensor.name, Entry{&tensor, file.get()});
  files_.push_back(std::move(file));
}

const CheckpointFiles::Entry* CheckpointFiles::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

}  // namespace mm
