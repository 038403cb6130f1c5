#include "model/quantize.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/check.h"
#include "base/mapped_file.h"
#include "model/checkpoint_files.h"
#include "model/output_folder.h"
#include "model/quantize_config.h"
#include "model/quantize_matrix.h"
#include "model/weight_table.h"
#include "model/weights.h"

namespace mm {
namespace {

namespace fs = std::filesystem;

// What belongs to a model folder besides config and weights.
constexpr const char* kCompanions[] = {"generation_config.json",
                                       "tokenizer.json",
                                       "tokenizer_config.json",
                                       "vocab.json",
                                       "merges.txt",
                                       "added_tokens.json",
                                       "special_tokens_map.json",
                                       "chat_template.json",
                                       "chat_template.jinja",
                                       "preprocessor_config.json"};

/// One weight of the output.
struct Item {
  WeightSlot slot;
  QuantFormat format = QuantFormat::kNone;
  TensorView source;  ///< as stored: vectors of any float type too
  size_t shard = 0;
};

std::string base_of(const Item& item) {
  const std::string name = item.slot.name();
  return name.substr(0, name.size() - std::string_view(".weight").size());
}

std::vector<TensorSpec> specs_of(const Item& item, int group_size) {
  const int64_t rows = item.slot.rows;
  const int64_t cols = item.slot.cols;
  const std::string base = base_of(item);
  switch (item.format) {
    case QuantFormat::kNone:
      break;
    case QuantFormat::kInt8Channel:
      return {{base + ".weight", DType::kI8, {rows, cols}},
              {base + ".weight_scale", DType::kF32, {rows, 1}}};
    case QuantFormat::kFp8Channel:
      return {{base + ".weight", DType::kF8E4M3, {rows, cols}},
              {base + ".weight_scale", DType::kF32, {rows, 1}}};
    case QuantFormat::kInt4Group:
      return {{base + ".weight_packed", DType::kI32, {rows, cols / 8}},
              {base + ".weight_scale", DType::kBf16, {rows, cols / group_size}},
              {base + ".weight_shape", DType::kI64, {2}}};
  }
  const TensorView& view = item.source;
  return {{base + ".weight", view.dtype, {view.shape.begin(), view.shape.begin() + view.rank}}};
}

std::span<const std::byte> bytes_of(const TensorView& view) {
  return {static_cast<const std::byte*>(view.data), static_cast<size_t>(view.bytes())};
}

/// The weights of the input and what each becomes.
class Quantizer {
 public:
  Quantizer(const std::string& from, const QuantizeOptions& options, ThreadPool& pool)
      : from_(from), options_(options), pool_(pool), model_(load_model(from)), files_(from) {
    for (const WeightSlot& slot : weight_slots(model_.config)) items_.push_back(plan(slot));
    assign_shards();
  }

  /// Writes every file of the output into an existing folder.
  QuantizeReport write(const std::string& folder);

 private:
  Item plan(const WeightSlot& slot);
  void assign_shards();
  void write_shard(const std::string& path, size_t shard);
  void write_item(const Item& item, SafetensorsWriter& writer);
  void write_index(const std::string& folder, const std::vector<std::string>& names) const;
  void write_config(const std::string& folder) const;
  void copy_companions(const std::string& folder) const;
  void account(const Item& item, const QuantizeError& error);
  QuantizeReport report() const;
  int64_t bytes_after(const Item& item) const {
    int64_t bytes = 0;
    for (const TensorSpec& spec : specs_of(item, options_.group_size)) bytes += spec.bytes();
    return bytes;
  }

  std::string from_;
  const QuantizeOptions& options_;
  ThreadPool& pool_;
  Model model_;
  CheckpointFiles files_;
  std::vector<Item> items_;
  size_t shard_count_ = 1;
  std::vector<std::string> kept_;
  std::vector<QuantizeClass> classes_;
  std::vector<QuantizeError> class_errors_;
  int64_t bytes_read_ = 0;
  int64_t bytes_total_ = 0;
};

Item Quantizer::plan(const WeightSlot& slot) {
  Item item;
  item.slot = slot;
  if (slot.is_vector()) {
    item.source = files_.find(slot.name())->tensor->view;
    return item;
  }
  const Weight& weight = slot.matrix(model_);
  if (weight.format != QuantFormat::kNone)
    raise(ErrorKind::kUnsupported,
          "{}: {} is already quantised ({}), expected a checkpoint in BF16, F16 or F32", from_,
          slot.name(), to_string(weight.format));
  item.source = weight.data;
  const WeightClass kind = slot.row->kind;
  if (!slot.row->quantisable)
    return item;
  if (kind == WeightClass::kEmbedding || kind == WeightClass::kHead) {
    if (options_.quantize_embeddings)
      item.format = QuantFormat::kInt8Channel;
  } else if (options_.format == "int8") {
    item.format = QuantFormat::kInt8Channel;
  } else if (options_.format == "fp8") {
    item.format = QuantFormat::kFp8Channel;
  } else if (slot.cols % options_.group_size == 0) {
    item.format = QuantFormat::kInt4Group;
  } else {
    kept_.push_back(slot.name());
  }
  return item;
}

void Quantizer::assign_shards() {
  int64_t filled = 0;
  for (Item& item : items_) {
    const int64_t bytes = bytes_after(item);
    if (filled > 0 && filled + bytes > options_.shard_bytes) {
      ++shard_count_;
      filled = 0;
    }
    filled += bytes;
    item.shard = shard_count_ - 1;
    bytes_total_ += item.source.bytes();
  }
}

void Quantizer::write_item(const Item& item, SafetensorsWriter& writer) {
  const std::vector<TensorSpec> specs = specs_of(item, options_.group_size);
  QuantizeError error;
  if (item.format == QuantFormat::kNone) {
    writer.write(specs[0].name, item.source);
  } else {
    const MatrixEncoder encoder{item.source, item.format, options_.group_size,
                                from_ + ": " + item.slot.name()};
    error = encoder.run(pool_, [&](const TensorView& data, const TensorView& scales) {
      writer.append(specs[0].name, bytes_of(data));
      writer.append(specs[1].name, bytes_of(scales));
    });
  }
  if (item.format == QuantFormat::kInt4Group) {
    const int64_t shape[] = {item.slot.rows, item.slot.cols};
    writer.append(specs[2].name, std::as_bytes(std::span(shape)));
  }
  account(item, error);
}

void Quantizer::write_shard(const std::string& path, size_t shard) {
  std::vector<TensorSpec> specs;
  for (const Item& item : items_) {
    if (item.shard != shard)
      continue;
    for (TensorSpec& spec : specs_of(item, options_.group_size)) specs.push_back(std::move(spec));
  }
  SafetensorsWriter writer(path, std::move(specs), {{"format", "pt"}});
  for (const Item& item : items_) {
    if (item.shard != shard)
      continue;
    write_item(item, writer);
    bytes_read_ += item.source.bytes();
    if (options_.progress)
      options_.progress(bytes_read_, bytes_total_);
  }
  writer.finish();
}

void Quantizer::account(const Item& item, const QuantizeError& error) {
  const std::string name = to_string(item.slot.row->kind);
  const std::string format = item.format == QuantFormat::kNone ? to_string(item.source.dtype)
                             : item.format == QuantFormat::kInt4Group
                                 ? fmt::format("int4 g{}", options_.group_size)
                                 : to_string(item.format);
  size_t at = 0;
  while (at < classes_.size() && (classes_[at].name != name || classes_[at].format != format)) ++at;
  if (at == classes_.size()) {
    classes_.push_back({.name = name, .format = format});
    class_errors_.emplace_back();
  }
  ++classes_[at].tensors;
  classes_[at].bytes_before += item.source.bytes();
  classes_[at].bytes_after += bytes_after(item);
  class_errors_[at].add(error);
}

QuantizeReport Quantizer::report() const {
  QuantizeReport report{classes_, kept_};
  for (size_t i = 0; i < report.classes.size(); ++i) {
    const QuantizeError& sums = class_errors_[i];
    QuantizeClass& entry = report.classes[i];
    entry.relative_rms = sums.reference > 0 ? std::sqrt(sums.square / sums.reference) : 0;
    entry.max_error = sums.largest;
    report.bytes_before += entry.bytes_before;
    report.bytes_after += entry.bytes_after;
  }
  return report;
}

void Quantizer::write_index(const std::string& folder,
                            const std::vector<std::string>& names) const {
  Json index = {{"metadata", {{"total_size", 0}}}, {"weight_map", Json::object()}};
  int64_t total = 0;
  for (const Item& item : items_) {
    for (const TensorSpec& spec : specs_of(item, options_.group_size)) {
      index["weight_map"][spec.name] = names[item.shard];
      total += spec.bytes();
    }
  }
  index["metadata"]["total_size"] = total;
  write_text_file(folder + "/model.safetensors.index.json", index.dump(1) + "\n");
}

void Quantizer::write_config(const std::string& folder) const {
  const MappedFile file((fs::path(from_) / "config.json").string());
  Json config = Json::parse(file.text());
  config["quantization_config"] = quantization_config(options_, kept_);
  write_text_file(folder + "/config.json", config.dump(1) + "\n");
}

void Quantizer::copy_companions(const std::string& folder) const {
  for (const char* name : kCompanions) {
    const std::string path = (fs::path(from_) / name).string();
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored))
      write_text_file((fs::path(folder) / name).string(), MappedFile(path).text());
  }
}

QuantizeReport Quantizer::write(const std::string& folder) {
  std::vector<std::string> names;
  for (size_t i = 0; i < shard_count_; ++i) {
    names.push_back(shard_count_ == 1
                        ? std::string("model.safetensors")
                        : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shard_count_));
    write_shard(folder + "/" + names.back(), i);
  }
  if (shard_count_ > 1)
    write_index(folder, names);
  write_config(folder);
  copy_companions(folder);
  return report();
}

void check_options(const QuantizeOptions& options) {
  if (options.format != "int8" && options.format != "fp8" && options.format != "int4")
    bad_input("format {}, expected int8, fp8 or int4", options.format);
  const int group = options.group_size;
  if (options.format == "int4" && group != 32 && group != 64 && group != 128)
    bad_input("group size {}, expected 32, 64 or 128", group);
}

}  // namespace

QuantizeReport quantize_checkpoint(const std::string& from, const std::string& to,
                                   const QuantizeOptions& options, ThreadPool& pool) {
  check_options(options);
  Quantizer quantizer(from, options, pool);
  OutputFolder folder(to, from);
  QuantizeReport report = quantizer.write(folder.path());
  folder.finish();
  return report;
}

}  // namespace mm
