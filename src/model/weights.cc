#include "model/weights.h"

#include <cstring>
#include <filesystem>
#include <optional>
#include <unordered_set>

#include "base/check.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "model/checkpoint_files.h"
#include "model/weight_table.h"
#include "model/zero_rows.h"
#include "tensor/quantize_rows.h"

namespace mm {
namespace {

using Entry = CheckpointFiles::Entry;

constexpr std::string_view kWeightSuffix = ".weight";

bool is_float(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kBf16 || dtype == DType::kF16;
}

/// f32 copies of small tensors: norms, and scales of a type the kernels do not read.
Tensor to_f32(const TensorView& source, std::initializer_list<int64_t> shape) {
  Tensor copy(DType::kF32, shape);
  to_floats(source, copy.ptr<float>());
  return copy;
}

/// Walks the table of weights over the files of a folder and, at the end, proves that every
/// tensor was used.
class WeightLoader {
 public:
  WeightLoader(const CheckpointFiles& files, Model& model) : files_(files), model_(model) {}

  void load_all() {
    for (const WeightSlot& slot : weight_slots(model_.config)) {
      if (slot.is_vector()) {
        slot.vector(model_) = load_vector(slot);
      } else {
        slot.matrix(model_) = load_matrix(slot);
      }
    }
    if (model_.config.tied_embeddings)
      tie_head();
    check_experts();
    check_leftovers();
  }

 private:
  Tensor load_vector(const WeightSlot& slot);
  Weight load_matrix(const WeightSlot& slot);
  Weight load_dense(const WeightSlot& slot, const Entry& entry);
  Weight load_channels(const WeightSlot& slot, const Entry& entry, const Entry& scale);
  Weight load_int4(const WeightSlot& slot, const Entry& packed, const std::string& base);
  Weight load_packed_experts(const WeightSlot& slot, const Entry& entry);
  void check_stored_shape(const Entry& entry, const WeightSlot& slot);
  void tie_head();
  void check_experts() const;
  void check_leftovers() const;

  /// Finds and marks a tensor; null if absent.
  const Entry* take(const std::string& name) {
    const Entry* entry = files_.find(name);
    if (entry != nullptr)
      used_.insert(entry->tensor);
    return entry;
  }
  const Entry& take_required(const std::string& name, const std::string& expected);
  /// Scales as the kernels read them: in place if possible, else an owned f32 copy.
  TensorView scales_of(const Entry& entry, bool accept_bf16);

  const CheckpointFiles& files_;
  Model& model_;
  std::unordered_set<const StoredTensor*> used_;
};

[[noreturn]] void wrong_tensor(const Entry& entry, const std::string& expected) {
  bad_input("{}: tensor {} is {}, expected {}", entry.file->path(), entry.tensor->name,
            to_string(entry.tensor->view), expected);
}

bool has_shape(const TensorView& view, std::initializer_list<int64_t> shape) {
  return std::equal(view.shape.begin(), view.shape.begin() + view.rank, shape.begin(), shape.end());
}

const Entry& WeightLoader::take_required(const std::string& name, const std::string& expected) {
  const Entry* entry = take(name);
  if (entry == nullptr)
    bad_input("{}: tensor {} is missing, expected {}", files_.folder(), name, expected);
  return *entry;
}

Tensor WeightLoader::load_vector(const WeightSlot& slot) {
  const std::string expected = "F32, BF16 or F16 " + slot.expected_shape();
  const Entry& entry = take_required(slot.name(), expected);
  const TensorView& view = entry.tensor->view;
  if (!is_float(view.dtype) || !has_shape(view, {slot.rows}))
    wrong_tensor(entry, expected);
  return to_f32(view, {slot.rows});
}

Weight WeightLoader::load_dense(const WeightSlot& slot, const Entry& entry) {
  const TensorView& view = entry.tensor->view;
  if (!is_float(view.dtype) || !has_shape(view, {slot.rows, slot.cols}))
    wrong_tensor(entry, "F32, BF16 or F16 " + slot.expected_shape());
  return Weight::dense(view);
}

TensorView WeightLoader::scales_of(const Entry& entry, bool accept_bf16) {
  const TensorView& view = entry.tensor->view;
  if (view.dtype == DType::kF32 || (accept_bf16 && view.dtype == DType::kBf16))
    return view;
  auto copy = std::make_shared<Tensor>(to_f32(view, {view.dim(0), view.dim(1)}));
  model_.storage.owners.push_back(copy);
  return copy->view();
}

// int8 or fp8: codes with one scale per output channel.
Weight WeightLoader::load_channels(const WeightSlot& slot, const Entry& entry, const Entry& scale) {
  const TensorView& view = entry.tensor->view;
  const bool fp8 = view.dtype == DType::kF8E4M3;
  if ((view.dtype != DType::kI8 && !fp8) || !has_shape(view, {slot.rows, slot.cols}))
    wrong_tensor(entry,
                 "I8 or F8_E4M3 " + slot.expected_shape() + " beside its " + scale.tensor->name);
  const TensorView& scales = scale.tensor->view;
  if (!is_float(scales.dtype) || !has_shape(scales, {slot.rows, 1}))
    wrong_tensor(scale, fmt::format("F32, BF16 or F16 [{}, 1]", slot.rows));
  Weight weight;
  weight.data = view;
  weight.scales = scales_of(scale, false);
  weight.format = fp8 ? QuantFormat::kFp8Channel : QuantFormat::kInt8Channel;
  weight.rows = slot.rows;
  weight.cols = slot.cols;
  return weight;
}

// weight_shape is redundant (columns are a multiple of the group), so it only has to agree.
void WeightLoader::check_stored_shape(const Entry& entry, const WeightSlot& slot) {
  const TensorView& view = entry.tensor->view;
  if (view.dtype != DType::kI64 || !has_shape(view, {2}))
    wrong_tensor(entry, "I64 [2]");
  const int64_t* stored = view.ptr<int64_t>();
  if (stored[0] != slot.rows || stored[1] != slot.cols)
    bad_input("{}: tensor {} says [{}, {}], expected {}", entry.file->path(), entry.tensor->name,
              stored[0], stored[1], slot.expected_shape());
}

Weight WeightLoader::load_int4(const WeightSlot& slot, const Entry& packed,
                               const std::string& base) {
  const TensorView& view = packed.tensor->view;
  if (view.dtype != DType::kI32 || slot.cols % 8 != 0 ||
      !has_shape(view, {slot.rows, slot.cols / 8}))
    wrong_tensor(packed, "I32 [rows, columns / 8] of " + slot.expected_shape());
  const std::string groups =
      fmt::format("BF16, F32 or F16 [{}, {} / 32, 64 or 128]", slot.rows, slot.cols);
  const Entry& scale = take_required(base + ".weight_scale", groups);
  const TensorView& scales = scale.tensor->view;
  check_stored_shape(take_required(base + ".weight_shape", "I64 [2]"), slot);
  if (!is_float(scales.dtype) || scales.rank != 2 || scales.dim(0) != slot.rows)
    wrong_tensor(scale, groups);
  for (const int size : {32, 64, 128}) {
    if (scales.dim(1) * size != slot.cols)
      continue;
    Weight weight;
    weight.data = view;
    weight.scales = scales_of(scale, true);
    weight.format = QuantFormat::kInt4Group;
    weight.group_size = size;
    weight.rows = slot.rows;
    weight.cols = slot.cols;
    return weight;
  }
  wrong_tensor(scale, groups);
}

// transformers 5.x stacks experts, and w1 over w3: both come apart as plain row slices.
Weight WeightLoader::load_packed_experts(const WeightSlot& slot, const Entry& entry) {
  const TensorView& view = entry.tensor->view;
  const int64_t stacked = slot.row->parts * slot.rows;
  if (!is_float(view.dtype) || !has_shape(view, {model_.config.num_experts, stacked, slot.cols}))
    wrong_tensor(entry, fmt::format("F32, BF16 or F16 [{} (E), {} ({}{}), {} ({})]",
                                    model_.config.num_experts, stacked,
                                    slot.row->parts == 1 ? "" : std::to_string(slot.row->parts),
                                    slot.row->rows, slot.cols, slot.row->cols));
  const int64_t begin = slot.row->part * slot.rows;
  return Weight::dense(view.at(slot.expert).slice(begin, begin + slot.rows));
}

Weight WeightLoader::load_matrix(const WeightSlot& slot) {
  const std::string name = slot.name();
  const std::string base = name.substr(0, name.size() - kWeightSuffix.size());
  const Entry* plain = take(name);
  const Entry* packed = slot.row->quantisable ? take(base + ".weight_packed") : nullptr;
  const Entry* renamed = slot.row->name_5x == nullptr ? nullptr : take(slot.name_5x());
  const Entry* present[] = {plain, packed, renamed};
  const Entry* first = nullptr;
  for (const Entry* entry : present) {
    if (entry != nullptr && first != nullptr)
      bad_input("{}: tensors {} and {} both hold one weight; remove one", files_.folder(),
                first->tensor->name, entry->tensor->name);
    first = first == nullptr ? entry : first;
  }
  if (packed != nullptr)
    return load_int4(slot, *packed, base);
  if (renamed != nullptr)
    return slot.row->parts > 0 ? load_packed_experts(slot, *renamed) : load_dense(slot, *renamed);
  const Entry* scale =
      plain != nullptr && slot.row->quantisable ? take(base + ".weight_scale") : nullptr;
  if (scale != nullptr)
    return load_channels(slot, *plain, *scale);
  return load_dense(slot, take_required(name, "F32, BF16 or F16 " + slot.expected_shape()));
}

// Files of tied models sometimes store the head all the same. It may only repeat the embedding.
void WeightLoader::tie_head() {
  model_.head = model_.embedding;
  const Entry* head = take("lm_head.weight");
  if (head == nullptr)
    return;
  const TensorView& embedding = model_.embedding.data;
  const TensorView& view = head->tensor->view;
  if (view.dtype == embedding.dtype &&
      has_shape(view, {model_.embedding.rows, model_.embedding.cols}) &&
      std::memcmp(view.data, embedding.data, static_cast<size_t>(view.bytes())) == 0)
    return;
  bad_input(
      "{}: tensor lm_head.weight differs from model.embed_tokens.weight, but config.json "
      "says tie_word_embeddings true; correct one of them",
      head->file->path());
}

// Experts of a layer run as one grouped product, which reads one format.
void WeightLoader::check_experts() const {
  for (size_t l = 0; l < model_.layers.size(); ++l) {
    const Moe& moe = model_.layers[l].moe;
    const std::pair<const char*, const std::vector<Weight>*> lists[] = {
        {"w1", &moe.w1}, {"w3", &moe.w3}, {"w2", &moe.w2}};
    for (const auto& [name, weights] : lists) {
      const Weight& first = weights->front();
      for (size_t e = 1; e < weights->size(); ++e) {
        const Weight& weight = (*weights)[e];
        if (weight.format != first.format || weight.data.dtype != first.data.dtype ||
            weight.group_size != first.group_size || weight.scales.dtype != first.scales.dtype)
          raise(ErrorKind::kUnsupported,
                "{}: layer {} stores {} of expert 0 as {} and of expert {} as {}, expected one "
                "format for all experts of a layer",
                files_.folder(), l, name, to_string(first.data.dtype), e,
                to_string(weight.data.dtype));
      }
    }
  }
}

void WeightLoader::check_leftovers() const {
  const Entry* first = nullptr;
  int64_t count = 0;
  for (const auto& [name, entry] : files_.entries()) {
    if (used_.contains(entry.tensor) || is_ignored_tensor(name))
      continue;
    first = first == nullptr ? &entry : first;
    ++count;
  }
  if (first == nullptr)
    return;
  bad_input("{}: tensor {} {} is not part of the model that config.json describes{}",
            first->file->path(), first->tensor->name, to_string(first->tensor->view),
            count == 1 ? std::string() : fmt::format(" ({} more are not either)", count - 1));
}

}  // namespace

ConfigFile read_config_file(const std::string& folder) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored))
    raise(ErrorKind::kNotFound, "{}: no such folder, expected a model folder", folder);
  const std::string path = (std::filesystem::path(folder) / "config.json").string();
  const MappedFile file(path);
  ConfigFile config = read_config(file.text(), path);
  if (!config.unknown_keys.empty())
    log_info("{}: unknown keys, ignored: {}", path, fmt::join(config.unknown_keys, ", "));
  return config;
}

Model load_model(const std::string& folder) {
  const ConfigFile config = read_config_file(folder);
  if (config.model.model_type == "minimax_vl_01")
    raise(ErrorKind::kUnsupported,
          "{}: MiniMax-VL-01 has a vision tower, which this version cannot run; expected a text "
          "model",
          folder);
  const CheckpointFiles files(folder);
  Model model = make_empty_model(config.model);
  model.quantization = config.quantization;
  for (const auto& file : files.files()) model.storage.owners.push_back(file);
  WeightLoader(files, model).load_all();
  model.zero_rows = find_zero_rows(model.embedding);
  return model;
}

}  // namespace mm
