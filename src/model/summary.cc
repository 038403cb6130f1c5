#include "model/summary.h"

#include "model/weight_table.h"
#include "ops/backend.h"

namespace mm {
namespace {

struct SlotSize {
  std::string format;
  int64_t bytes = 0;
};

SlotSize size_of_slot(Model& model, const WeightSlot& slot) {
  if (slot.is_vector()) {
    const TensorView& view = slot.vector(model);
    return {to_string(view.dtype), view.bytes()};
  }
  const Weight& weight = slot.matrix(model);
  return {format_name(weight), weight.bytes()};
}

WeightSummary& class_of(ModelSummary& summary, WeightClass kind) {
  for (WeightSummary& entry : summary.classes) {
    if (entry.name == to_string(kind))
      return entry;
  }
  summary.classes.push_back({to_string(kind), {}, 0, 0, 0});
  return summary.classes.back();
}

void add_format(std::string* formats, const std::string& format) {
  if (("+" + *formats + "+").find("+" + format + "+") == std::string::npos)
    *formats += (formats->empty() ? "" : "+") + format;
}

void add_active(const ModelConfig& config, const WeightSlot& slot, int64_t bytes,
                ModelSummary* summary) {
  int64_t parameters = slot.parameters();
  if (slot.row->kind == WeightClass::kExperts) {
    // Each expert of the layer is used A times in E: exact once summed over all of them.
    if (slot.expert >= config.experts_per_token)
      return;
  } else if (slot.row->kind == WeightClass::kEmbedding && !config.tied_embeddings) {
    parameters = slot.cols;
    bytes /= slot.rows;
  }
  summary->active_parameters += parameters;
  summary->bytes_per_token += bytes;
}

}  // namespace

std::string format_name(const Weight& weight) {
  switch (weight.format) {
    case QuantFormat::kNone:
      return to_string(weight.data.dtype);
    case QuantFormat::kInt8Channel:
      return "int8";
    case QuantFormat::kFp8Channel:
      return "fp8";
    case QuantFormat::kInt4Group:
      return "int4 g" + std::to_string(weight.group_size);
  }
  return "unknown";
}

CacheCost cache_cost(const ModelConfig& config) {
  CacheCost cost;
  for (const AttentionKind kind : config.layers) {
    if (kind == AttentionKind::kSoftmax) {
      cost.kv_per_token += 2 * config.kv_size();
      cost.kv_scales_per_token += 2 * config.num_kv_heads;
    } else {
      cost.state += config.attention_size() * config.head_size;
      cost.tail += 2 * kBlockTokens * config.attention_size();
    }
  }
  return cost;
}

int64_t kv_bytes_per_token(const CacheCost& cost, DType dtype) {
  const int64_t scales = is_scaled(dtype) ? cost.kv_scales_per_token : 0;
  return cost.kv_per_token * size_of(dtype) + scales * size_of(DType::kF32);
}

ModelSummary summarize(const Model& model) {
  // The table's accessors serve loading, hence take a mutable model; nothing is changed here.
  Model& weights = const_cast<Model&>(model);
  ModelSummary summary;
  for (const WeightSlot& slot : weight_slots(model.config)) {
    const SlotSize size = size_of_slot(weights, slot);
    WeightSummary& entry = class_of(summary, slot.row->kind);
    add_format(&entry.format, size.format);
    ++entry.tensors;
    entry.parameters += slot.parameters();
    entry.bytes += size.bytes;
    ++summary.tensors;
    summary.parameters += slot.parameters();
    summary.bytes += size.bytes;
    add_active(model.config, slot, size.bytes, &summary);
  }
  summary.cache = cache_cost(model.config);
  return summary;
}

}  // namespace mm
