/// The reference ops, one function per verb of Backend; contracts at the verbs (ops/backend.h).
/// Inputs were checked there. Every sum runs in double and rounds once, when it is stored.
#pragma once

#include <span>

#include "ops/backend.h"

namespace mm::reference {

void embed(const TensorView& ids, const Weight& table, const TensorView& out);
void rms_norm(const TensorView& x, const TensorView& weight, float eps, const TensorView& out);
void cast(const TensorView& x, const TensorView& out);
void add_scaled(const TensorView& a, float alpha, const TensorView& b, float beta,
                const TensorView& out);
void linear(const TensorView& x, const Weight& w, const TensorView& out);
void grouped_linear(const TensorView& x, const TensorView& offsets, std::span<const Weight> weights,
                    const TensorView& out);
void silu(const TensorView& x);
void silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out);
void sigmoid_mul(const TensorView& gate, const TensorView& x, const TensorView& out);
void rope(const RopeArgs& args);
void store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv, const Ragged& rows);
void softmax_attention(const SoftmaxArgs& args);
void lightning_attention(const LightningArgs& args);
void route_topk(const TensorView& logits, const TensorView& ids);
void route_weights(const TensorView& logits, const TensorView& ids, const TensorView& weights);
void group_by_expert(const TensorView& ids, int num_experts, const Routes& routes);
void gather_rows(const TensorView& x, const TensorView& index, const TensorView& out);
void combine_rows(const TensorView& x, const TensorView& positions, const TensorView& weights,
                  const TensorView& out);

}  // namespace mm::reference
