#include "ops/backend.h"

#include "base/check.h"
#include "ops/contracts.h"

namespace mm {

void Backend::embed(const TensorView& ids, const Weight& table, const TensorView& out) {
  if (contracts::embed(ids, table, out))
    do_embed(ids, table, out);
}

void Backend::rms_norm(const TensorView& x, const TensorView& weight, float eps,
                       const TensorView& out) {
  if (contracts::rms_norm(x, weight, out))
    do_rms_norm(x, weight, eps, out);
}

void Backend::cast(const TensorView& x, const TensorView& out) {
  if (contracts::cast(x, out))
    do_cast(x, out);
}

void Backend::add_scaled(const TensorView& a, float alpha, const TensorView& b, float beta,
                         const TensorView& out) {
  if (contracts::add_scaled(a, b, out))
    do_add_scaled(a, alpha, b, beta, out);
}

void Backend::linear(const TensorView& x, const Weight& w, const TensorView& out) {
  if (contracts::linear(x, w, out))
    do_linear(x, w, out);
}

void Backend::grouped_linear(const TensorView& x, const TensorView& offsets,
                             std::span<const Weight> weights, const TensorView& out) {
  if (contracts::grouped_linear(x, offsets, weights, out))
    do_grouped_linear(x, offsets, weights, out);
}

void Backend::project(const TensorView& x, std::span<const Projection> projections) {
  if (contracts::project(x, projections))
    do_project(x, projections);
}

void Backend::grouped_gated(const GatedArgs& args) {
  if (contracts::grouped_gated(args))
    do_grouped_gated(args);
}

void Backend::gated_norm(const TensorView& gate, const TensorView& x, const TensorView& weight,
                         float eps, const TensorView& out) {
  if (contracts::gated_norm(gate, x, weight, out))
    do_gated_norm(gate, x, weight, eps, out);
}

void Backend::do_project(const TensorView& x, std::span<const Projection> projections) {
  for (const Projection& projection : projections) {
    do_linear(x, projection.w, projection.out);
    if (projection.silu)
      do_silu(projection.out);
  }
}

void Backend::do_grouped_gated(const GatedArgs& args) {
  do_grouped_linear(args.x, args.offsets, args.gate, args.gate_sums);
  do_grouped_linear(args.x, args.offsets, args.up, args.up_sums);
  do_silu_mul(args.gate_sums, args.up_sums, args.out);
}

void Backend::do_gated_norm(const TensorView& gate, const TensorView& x, const TensorView& weight,
                            float eps, const TensorView& out) {
  do_rms_norm(x, weight, eps, x);
  do_sigmoid_mul(gate, x, out);
}

void Backend::add_residual(const ResidualArgs& args) {
  if (contracts::add_residual(args))
    do_add_residual(args);
}

void Backend::do_add_residual(const ResidualArgs& args) {
  if (!args.only.empty())
    return add_residual_rows(args);
  const Branch& branch = args.branch;
  TensorView added = branch.rows;
  if (branch.is_mixture()) {
    do_combine_rows(branch.rows, branch.positions, branch.weights, args.mixed);
    added = args.mixed;
  }
  TensorView sum = args.sum.empty() ? args.normed : args.sum;
  if (added.empty()) {
    sum = args.residual;
  } else {
    do_add_scaled(args.residual, args.alpha, added, args.beta, sum);
  }
  if (args.weight.empty())
    return;
  do_rms_norm(sum, args.weight, args.eps, args.normed);
  if (!args.input.empty())
    do_cast(args.normed, args.input);
}

void Backend::add_residual_rows(const ResidualArgs& args) {
  const auto row = [](const TensorView& view, int64_t r) {
    return view.empty() ? view : view.slice(r, r + 1);
  };
  const auto* only = args.only.ptr<int32_t>();
  for (int64_t r = 0; r < args.only.dim(0); ++r) {
    const int64_t token = only[r];
    MM_CHECK(0 <= token && token < args.residual.dim(0), "token {} of {}", token,
             args.residual.dim(0));
    ResidualArgs one = args;
    one.only = {};
    one.residual = row(args.residual, token);
    if (args.branch.is_mixture()) {
      one.branch.positions = row(args.branch.positions, token);
      one.branch.weights = row(args.branch.weights, token);
      one.mixed = row(args.mixed, 0);
    } else {
      one.branch.rows = row(args.branch.rows, token);
    }
    one.sum = row(args.sum, r);
    one.normed = row(args.normed, r);
    one.input = row(args.input, r);
    do_add_residual(one);
  }
}

void Backend::silu(const TensorView& x) {
  if (contracts::silu(x))
    do_silu(x);
}

void Backend::silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out) {
  if (contracts::silu_mul(gate, up, out))
    do_silu_mul(gate, up, out);
}

void Backend::sigmoid_mul(const TensorView& gate, const TensorView& x, const TensorView& out) {
  if (contracts::sigmoid_mul(gate, x, out))
    do_sigmoid_mul(gate, x, out);
}

void Backend::rope(const RopeArgs& args) {
  if (contracts::rope(args))
    do_rope(args);
}

void Backend::store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv,
                       const Ragged& rows) {
  if (contracts::store_kv(k, v, kv, rows))
    do_store_kv(k, v, kv, rows);
}

void Backend::softmax_attention(const SoftmaxArgs& args) {
  if (contracts::softmax_attention(args))
    do_softmax_attention(args);
}

void Backend::lightning_attention(const LightningArgs& args) {
  if (contracts::lightning_attention(args))
    do_lightning_attention(args);
}

void Backend::route_topk(const TensorView& logits, const TensorView& ids) {
  if (contracts::route_topk(logits, ids))
    do_route_topk(logits, ids);
}

void Backend::route_weights(const TensorView& logits, const TensorView& ids,
                            const TensorView& weights) {
  if (contracts::route_weights(logits, ids, weights))
    do_route_weights(logits, ids, weights);
}

void Backend::group_by_expert(const TensorView& ids, int num_experts, const Routes& routes) {
  if (contracts::group_by_expert(ids, num_experts, routes))
    do_group_by_expert(ids, num_experts, routes);
}

void Backend::gather_rows(const TensorView& x, const TensorView& index, const TensorView& out) {
  if (contracts::gather_rows(x, index, out))
    do_gather_rows(x, index, out);
}

void Backend::combine_rows(const TensorView& x, const TensorView& positions,
                           const TensorView& weights, const TensorView& out) {
  if (contracts::combine_rows(x, positions, weights, out))
    do_combine_rows(x, positions, weights, out);
}

}  // namespace mm
