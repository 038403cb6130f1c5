/// The contract of every verb of Backend: shapes, types and strides, checked once for all backends.
///
/// Each function returns whether there is anything to compute (false for a step without rows) and
/// throws kInternal, naming op, argument, expected and found, when a caller broke the contract
/// written at the verb in ops/backend.h. None looks at values: they may live on a device.
#pragma once

#include <span>

#include "ops/backend.h"

namespace mm::contracts {

bool embed(const TensorView& ids, const Weight& table, const TensorView& out);
bool rms_norm(const TensorView& x, const TensorView& weight, const TensorView& out);
bool cast(const TensorView& x, const TensorView& out);
bool add_scaled(const TensorView& a, const TensorView& b, const TensorView& out);
bool linear(const TensorView& x, const Weight& w, const TensorView& out);
bool grouped_linear(const TensorView& x, const TensorView& offsets, std::span<const Weight> weights,
                    const TensorView& out);
bool project(const TensorView& x, std::span<const Projection> projections);
bool grouped_gated(const GatedArgs& args);
bool gated_norm(const TensorView& gate, const TensorView& x, const TensorView& weight,
                const TensorView& out);
bool add_residual(const ResidualArgs& args);
bool silu(const TensorView& x);
bool silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out);
bool sigmoid_mul(const TensorView& gate, const TensorView& x, const TensorView& out);
bool rope(const RopeArgs& args);
bool store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv, const Ragged& rows);
bool softmax_attention(const SoftmaxArgs& args);
bool lightning_attention(const LightningArgs& args);
bool route_topk(const TensorView& logits, const TensorView& ids);
bool route_weights(const TensorView& logits, const TensorView& ids, const TensorView& weights);
/// Always true: without rows the offsets must still be written.
bool group_by_expert(const TensorView& ids, int num_experts, const Routes& routes);
bool gather_rows(const TensorView& x, const TensorView& index, const TensorView& out);
bool combine_rows(const TensorView& x, const TensorView& positions, const TensorView& weights,
                  const TensorView& out);

}  // namespace mm::contracts
