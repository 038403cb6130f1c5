#include "model/layers/moe.h"

namespace mm {
namespace {

/// Chooses experts and their weights for every row, and groups the rows by expert.
Routes route(const Moe& moe, const LayerStep& step, const TensorView& z) {
  Backend& backend = step.backend;
  Activations& act = step.act;
  const int64_t rows = step.rows();
  const TensorView logits = first_rows(act.router_logits, rows);
  const TensorView ids = first_rows(act.expert_ids, rows);
  backend.linear(z, moe.router, logits);
  backend.route_topk(logits, ids);
  if (step.probe != nullptr && step.probe->observe) {
    step.probe->observe(ProbePoint::kRouterLogits, step.layer, logits);
  }
  if (step.probe != nullptr && step.probe->route) {
    step.probe->route(step.layer, ids);
  }
  backend.route_weights(logits, ids, first_rows(act.expert_weights, rows));

  const Routes routes{.order = first_rows(act.route_order, rows * step.config.experts_per_token),
                      .positions = first_rows(act.route_positions, rows),
                      .offsets = act.route_offsets};
  backend.group_by_expert(ids, step.config.num_experts, routes);
  return routes;
}

}  // namespace

Branch mix_experts(const Moe& moe, const LayerStep& step, const TensorView& z,
                   const TensorView& input) {
  Backend& backend = step.backend;
  Activations& act = step.act;
  const Routes routes = route(moe, step, z);
  const int64_t routed_rows = routes.order.dim(0);

  const TensorView routed = first_rows(act.routed, routed_rows);
  const TensorView gate = first_rows(act.expert_gate, routed_rows);
  const TensorView up = first_rows(act.expert_up, routed_rows);
  const TensorView hidden = first_rows(act.expert_hidden, routed_rows);
  const TensorView out = first_rows(act.expert_out, routed_rows);
  backend.gather_rows(input, routes.order, routed);
  backend.grouped_gated({.x = routed,
                         .offsets = routes.offsets,
                         .gate = moe.w1,
                         .up = moe.w3,
                         .gate_sums = gate,
                         .up_sums = up,
                         .out = hidden});
  backend.grouped_linear(hidden, routes.offsets, moe.w2, out);
  return {out, routes.positions, first_rows(act.expert_weights, step.rows())};
}

}  // namespace mm
