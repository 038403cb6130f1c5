#include "model/activations.h"

#include <algorithm>

namespace mm {
namespace {

int64_t qkv_width(const ModelConfig& c) {
  return std::max(3 * c.attention_size(), c.attention_size() + 2 * c.kv_size());
}

/// What products write for other ops to read.
DType between_type(ComputeType type, Device device) {
  return device.is_host() ? DType::kF32 : to_dtype(type);
}

}  // namespace

Activations::Activations(const ModelConfig& config, ComputeType type, int64_t rows,
                         int64_t logit_rows, Device device)
    : max_rows(rows), max_logit_rows(logit_rows), compute(type) {
  const auto tensor = [device](DType dtype, std::initializer_list<int64_t> shape) {
    return Tensor(dtype, shape, device);
  };
  const DType c = to_dtype(type);
  const DType b = between_type(type, device);
  const int64_t d = config.hidden_size;
  const int64_t hk = config.attention_size();
  const int64_t e = config.num_experts;
  const int64_t a = config.experts_per_token;
  const int64_t f = config.expert_size;
  const int64_t s = rows * a;
  x = tensor(DType::kF32, {rows, d});
  normed = tensor(DType::kF32, {rows, d});
  if (type != ComputeType::kF32) {
    input = tensor(c, {rows, d});
  }
  branch = tensor(b, {rows, d});
  qkv = tensor(b, {rows, qkv_width(config)});
  gate = tensor(b, {rows, hk});
  attended = tensor(b, {rows, hk});
  gated = tensor(c, {rows, hk});
  router_logits = tensor(DType::kF32, {rows, e});
  expert_ids = tensor(DType::kI32, {rows, a});
  expert_weights = tensor(DType::kF32, {rows, a});
  route_order = tensor(DType::kI32, {s});
  route_positions = tensor(DType::kI32, {rows, a});
  route_offsets = tensor(DType::kI32, {e + 1});
  routed = tensor(c, {s, d});
  expert_gate = tensor(DType::kF32, {s, f});
  expert_up = tensor(DType::kF32, {s, f});
  expert_hidden = tensor(c, {s, f});
  expert_out = tensor(b, {s, d});
  logit_x = tensor(DType::kF32, {logit_rows, d});
  logits = tensor(DType::kF32, {logit_rows, config.vocab_size});
}

int64_t activation_bytes(const ModelConfig& config, ComputeType type, int64_t rows,
                         int64_t logit_rows, Device device) {
  const int64_t c = size_of(to_dtype(type));
  const int64_t b = size_of(between_type(type, device));
  const int64_t d = config.hidden_size;
  const int64_t hk = config.attention_size();
  const int64_t a = config.experts_per_token;
  const int64_t per_token = (8 + b) * d + (type == ComputeType::kF32 ? 0 : c * d) +
                            b * qkv_width(config) + (2 * b + c) * hk + 4 * config.num_experts +
                            16 * a +
                            a * (c * d + 8 * config.expert_size + c * config.expert_size + b * d);
  return rows * per_token + 4 * (config.num_experts + 1) + logit_rows * 4 * (d + config.vocab_size);
}

}  // namespace mm
