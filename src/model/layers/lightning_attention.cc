#include "model/layers/lightning_attention.h"

namespace mm {
namespace {

/// Part 0, 1 or 2 (q, k, v) of qkv [T, H·3K], as [T, H, K]: within a head they lie one after the
/// other.
TensorView head_part(const TensorView& qkv, int part, const ModelConfig& config) {
  const int64_t k = config.head_size;
  TensorView view = qkv.reshape({qkv.dim(0), config.num_heads, 3 * k});
  view.data = static_cast<char*>(view.data) + part * k * size_of(view.dtype);
  view.shape[2] = k;
  return view;
}

}  // namespace

void attend(const LightningAttention& layer, const LayerStep& step, const TensorView& input,
            const TensorView& branch) {
  const ModelConfig& config = step.config;
  Backend& backend = step.backend;
  Activations& act = step.act;
  const int64_t rows = step.rows();
  const int64_t width = config.attention_size();

  const TensorView qkv =
      TensorView::contiguous(act.qkv.view().data, act.qkv.view().dtype, {rows, 3 * width});
  const TensorView gate = first_rows(act.gate, rows);
  const Projection projections[] = {{layer.qkv, qkv, /*silu=*/true}, {layer.gate, gate}};
  backend.project(input, projections);

  const TensorView attended = first_rows(act.attended, rows);
  const LayerCache& cache = step.cache();
  backend.lightning_attention(
      {.q = head_part(qkv, 0, config),
       .k = head_part(qkv, 1, config),
       .v = head_part(qkv, 2, config),
       .slopes = layer.slopes,
       .rows = step.batch.rows,
       .slots = step.caches.slots,
       .states = cache.states,
       .tail_k = cache.tail_k,
       .tail_v = cache.tail_v,
       .out = attended.reshape({rows, config.num_heads, config.head_size})});
  const TensorView gated = first_rows(act.gated, rows);
  backend.gated_norm(gate, attended, layer.norm, static_cast<float>(config.lightning_norm_eps),
                     gated);
  backend.linear(gated, layer.out, branch);
}

}  // namespace mm
