/// Writes a checkpoint again in another dialect, type or sharding. Test helper.
#pragma once

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/json_value.h"
#include "base/mapped_file.h"
#include "base/output_file.h"
#include "model/checkpoint_files.h"
#include "tensor/safetensors.h"

namespace mm {

/// A folder below the system's temporary one, removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "mm-test-XXXXXX").string();
    MM_CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string string() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

/// Named tensors in memory, some of them owned here; edit, then save.
struct TensorSet {
  std::map<std::string, TensorView> views;
  std::vector<std::shared_ptr<const void>> owners;

  /// All tensors of a folder, as mapped.
  static TensorSet of_folder(const std::string& folder) {
    auto files = std::make_shared<CheckpointFiles>(folder);
    TensorSet set;
    for (const auto& [name, entry] : files->entries()) set.views[name] = entry.tensor->view;
    set.owners.push_back(files);
    return set;
  }

  /// A new zero tensor under this name.
  Tensor& add(const std::string& name, DType dtype, std::initializer_list<int64_t> shape) {
    auto tensor = std::make_shared<Tensor>(dtype, shape);
    views[name] = tensor->view();
    owners.push_back(tensor);
    return *tensor;
  }

  void save(const std::string& path) const {
    write_safetensors(path, {views.begin(), views.end()}, {{"format", "pt"}});
  }
};

/// Makes `folder` with a copy of this config.json.
inline void start_folder(const std::string& folder, const std::string& config_path) {
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(config_path, folder + "/config.json",
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::permissions(folder + "/config.json", std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
}

/// The same weights in another float type; `is_router_f32` keeps published checkpoints' mix of a
/// f32 router with the rest in `dtype`.
inline void save_as(const std::string& from, const std::string& to, DType dtype,
                    bool is_router_f32) {
  start_folder(to, from + "/config.json");
  TensorSet set = TensorSet::of_folder(from);
  const TensorSet source = set;
  for (const auto& [name, view] : source.views) {
    const bool router = name.ends_with(".gate.weight");
    const DType wanted = router && is_router_f32 ? DType::kF32 : dtype;
    MM_CHECK(view.dtype == DType::kBf16 && view.rank <= 2);
    Tensor& copy = view.rank == 1 ? set.add(name, wanted, {view.dim(0)})
                                  : set.add(name, wanted, {view.dim(0), view.dim(1)});
    for (int64_t i = 0; i < view.numel(); ++i) {
      const BFloat16 x = view.ptr<BFloat16>()[i];
      if (wanted == DType::kF32) {
        copy.ptr<float>()[i] = to_float(x);
      } else if (wanted == DType::kF16) {
        copy.ptr<Float16>()[i] = to_float16(to_float(x));
      } else {
        copy.ptr<BFloat16>()[i] = x;
      }
    }
  }
  set.save(to + "/model.safetensors");
}

/// Everything in f16: values outside its range or precision are rounded.
inline void save_f16(const std::string& from, const std::string& to) {
  save_as(from, to, DType::kF16, false);
}
/// bf16 with a f32 router, as the published checkpoints.
inline void save_mixed(const std::string& from, const std::string& to) {
  save_as(from, to, DType::kBf16, true);
}

/// transformers 5.x: `mlp.` names and stacked experts; takes `native-config/config.json` of the
/// source if it has one, and adds the decay buffers such files may carry.
inline void save_packed_5x(const std::string& from, const std::string& to) {
  const std::string native = from + "/native-config/config.json";
  start_folder(to, std::filesystem::exists(native) ? native : from + "/config.json");
  TensorSet set;
  const TensorSet source = TensorSet::of_folder(from);
  set.owners = source.owners;
  const std::string experts = ".block_sparse_moe.experts.";
  std::map<std::string, int64_t> counts;  // of experts, by layer prefix
  for (const auto& [name, view] : source.views) {
    const size_t at = name.find(".block_sparse_moe.");
    if (at == std::string::npos) {
      set.views[name] = view;
    } else if (name.find(experts) == std::string::npos) {
      set.views[name.substr(0, at) + ".mlp.gate.weight"] = view;
    } else {
      const int64_t expert = std::stoll(name.substr(at + experts.size()));
      counts[name.substr(0, at)] = std::max(counts[name.substr(0, at)], expert + 1);
    }
  }
  for (const auto& [layer, count] : counts) {
    const auto part = [&, &prefix = layer](int64_t e, const char* w) {
      return source.views.at(prefix + experts + std::to_string(e) + "." + w + ".weight");
    };
    const int64_t f = part(0, "w1").dim(0);
    const int64_t d = part(0, "w1").dim(1);
    const int64_t bytes = part(0, "w1").bytes();
    Tensor& gate_up = set.add(layer + ".mlp.experts.gate_up_proj", DType::kBf16, {count, 2 * f, d});
    Tensor& down = set.add(layer + ".mlp.experts.down_proj", DType::kBf16, {count, d, f});
    for (int64_t e = 0; e < count; ++e) {
      char* up = static_cast<char*>(gate_up.view().data) + 2 * e * bytes;
      std::memcpy(up, part(e, "w1").data, static_cast<size_t>(bytes));
      std::memcpy(up + bytes, part(e, "w3").data, static_cast<size_t>(bytes));
      std::memcpy(static_cast<char*>(down.view().data) + e * bytes, part(e, "w2").data,
                  static_cast<size_t>(bytes));
    }
    set.add(layer + ".self_attn.slope_rate", DType::kBf16, {2, 1, 1});
    set.add(layer + ".self_attn.diagonal_decay", DType::kBf16, {1, 2, 4, 4});
  }
  set.save(to + "/model.safetensors");
}

/// `count` shards numbered from zero, tensors dealt out in turn, with an index.
inline void save_sharded(const std::string& from, const std::string& to, int count) {
  start_folder(to, from + "/config.json");
  const TensorSet source = TensorSet::of_folder(from);
  std::vector<TensorSet> shards(static_cast<size_t>(count));
  Json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", Json::object()}};
  int64_t total = 0;
  size_t next = 0;
  for (const auto& [name, view] : source.views) {
    index["weight_map"][name] = fmt::format("model-{:05}-of-{:05}.safetensors", next, count);
    shards[next].views[name] = view;
    total += view.bytes();
    next = (next + 1) % shards.size();
  }
  for (size_t i = 0; i < shards.size(); ++i)
    shards[i].save(to + fmt::format("/model-{:05}-of-{:05}.safetensors", i, count));
  index["metadata"]["total_size"] = total;
  write_text_file(to + "/model.safetensors.index.json", index.dump(1));
}

}  // namespace mm
