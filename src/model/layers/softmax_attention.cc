#include "model/layers/softmax_attention.h"

#include <cmath>

namespace mm {

void attend(const SoftmaxAttention& layer, const LayerStep& step, const TensorView& input,
            const TensorView& branch) {
  const ModelConfig& config = step.config;
  Backend& backend = step.backend;
  Activations& act = step.act;
  const int64_t rows = step.rows();

  // q, k and v share one buffer, one after the other.
  const DType type = act.qkv.view().dtype;
  auto* next = static_cast<char*>(act.qkv.view().data);
  const auto take = [&](int heads) {
    const TensorView part = TensorView::contiguous(next, type, {rows, heads, config.head_size});
    next += part.bytes();
    return part;
  };
  const TensorView q = take(config.num_heads);
  const TensorView k = take(config.num_kv_heads);
  const TensorView v = take(config.num_kv_heads);
  const Projection projections[] = {{layer.q, q.reshape({rows, config.attention_size()})},
                                    {layer.k, k.reshape({rows, config.kv_size()})},
                                    {layer.v, v.reshape({rows, config.kv_size()})}};
  backend.project(input, projections);

  for (const TensorView& x : {q, k}) {
    backend.rope({.x = x,
                  .positions = step.batch.positions,
                  .rotary_dim = config.rotary_dim,
                  .theta = config.rope_theta});
  }
  const PagedKv kv{.pages = step.cache().pages,
                   .block_table = step.caches.block_table,
                   .scales = step.cache().page_scales};
  backend.store_kv(k, v, kv, step.batch.rows);

  const TensorView attended = first_rows(act.gated, rows);
  const float scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.head_size)));
  backend.softmax_attention({.q = q,
                             .kv = kv,
                             .rows = step.batch.rows,
                             .scale = scale,
                             .out = attended.reshape({rows, config.num_heads, config.head_size})});
  backend.linear(attended, layer.o, branch);
}

}  // namespace mm
