#include "model/forward.h"

#include "model/layers/layer_step.h"
#include "model/layers/lightning_attention.h"
#include "model/layers/moe.h"
#include "model/layers/softmax_attention.h"

namespace mm {
namespace {

void observe(const Probe* probe, ProbePoint point, int layer, const TensorView& tensor) {
  if (probe != nullptr && probe->observe) {
    probe->observe(point, layer, tensor);
  }
}

const ResidualScale& attention_residual(const ModelConfig& config, const Layer& layer) {
  return std::holds_alternative<LightningAttention>(layer.attention) ? config.lightning_residual
                                                                     : config.softmax_residual;
}

/// What products read of `normed`: itself in f32 compute.
TensorView product_input(const LayerStep& step) {
  const bool same = step.act.compute == ComputeType::kF32;
  return first_rows(same ? step.act.normed : step.act.input, step.rows());
}

/// The step of the residual stream that takes in `branch` and is followed by `norm`: x ← alpha ·
/// residual + beta · branch, then normed and input. The residual of a post-norm model is the
/// normalised input of the branch: no un-normalised path runs through the network, and nobody needs
/// x unless it is observed.
void add_residual(const LayerStep& step, const ResidualScale& scale, const Branch& branch,
                  const TensorView& norm) {
  const int64_t rows = step.rows();
  const ModelConfig& config = step.config;
  const TensorView x = first_rows(step.act.x, rows);
  const TensorView normed = first_rows(step.act.normed, rows);
  ResidualArgs args{.residual = config.post_norm ? normed : x,
                    .branch = branch,
                    .alpha = static_cast<float>(scale.alpha),
                    .beta = static_cast<float>(scale.beta),
                    .mixed = first_rows(step.act.branch, rows),
                    .weight = norm,
                    .eps = static_cast<float>(config.rms_norm_eps),
                    .normed = normed};
  if (!config.post_norm || step.probe != nullptr)
    args.sum = x;
  if (step.act.compute != ComputeType::kF32)
    args.input = product_input(step);
  step.backend.add_residual(args);
}

/// The first norm of all: no branch yet.
void enter_layers(const LayerStep& step, const TensorView& norm) {
  ResidualArgs args{.residual = first_rows(step.act.x, step.rows()),
                    .weight = norm,
                    .eps = static_cast<float>(step.config.rms_norm_eps),
                    .normed = first_rows(step.act.normed, step.rows())};
  if (step.act.compute != ComputeType::kF32)
    args.input = product_input(step);
  step.backend.add_residual(args);
}

/// attention → residual → norm → experts. Reads and leaves what add_residual makes; the caller
/// takes in the experts.
Branch run_layer(const Layer& layer, const LayerStep& step) {
  const TensorView normed = first_rows(step.act.normed, step.rows());
  const TensorView branch = first_rows(step.act.branch, step.rows());
  const TensorView input = product_input(step);
  std::visit([&](const auto& attention) { attend(attention, step, input, branch); },
             layer.attention);
  add_residual(step, attention_residual(step.config, layer), {branch}, layer.post_norm);
  return mix_experts(layer.moe, step, normed, input);
}

/// The last residual for all rows, where somebody looks.
void observe_last_layer(const LayerStep& step, ResidualArgs args) {
  const TensorView x = first_rows(step.act.x, step.rows());
  args.sum = x;
  step.backend.add_residual(args);
  observe(step.probe, ProbePoint::kLayer, step.layer, x);
}

/// The last residual, the final norm and the output matrix, for the rows that want logits only.
TensorView project_logits(const Model& model, const LayerStep& step, const Branch& branch) {
  const ModelConfig& config = model.config;
  const int64_t wanted = step.batch.logit_rows.dim(0);
  const TensorView x = first_rows(step.act.logit_x, wanted);
  const TensorView logits = first_rows(step.act.logits, wanted);
  ResidualArgs args{
      .residual = first_rows(config.post_norm ? step.act.normed : step.act.x, step.rows()),
      .branch = branch,
      .alpha = static_cast<float>(config.mlp_residual.alpha),
      .beta = static_cast<float>(config.mlp_residual.beta),
      .mixed = first_rows(step.act.branch, step.rows())};
  if (step.probe != nullptr) {
    observe_last_layer(step, args);
    args = {.residual = first_rows(step.act.x, step.rows())};
  }
  args.only = step.batch.logit_rows;
  args.weight = model.final_norm;
  args.eps = static_cast<float>(config.rms_norm_eps);
  args.normed = x;
  step.backend.add_residual(args);
  observe(step.probe, ProbePoint::kFinalNorm, config.num_layers(), x);
  step.backend.linear(x, model.head, logits);
  return logits;
}

}  // namespace

TensorView forward(const Model& model, Backend& backend, const Batch& batch,
                   const CacheViews& cache, Activations& act, const Probe* probe) {
  const int64_t rows = batch.ids.dim(0);
  MM_CHECK(rows <= act.max_rows, "{} rows, activations hold {}", rows, act.max_rows);
  MM_CHECK(batch.logit_rows.dim(0) <= act.max_logit_rows);
  const TensorView x = first_rows(act.x, rows);
  backend.embed(batch.ids, model.embedding, x);
  observe(probe, ProbePoint::kEmbedding, -1, x);
  const auto step_of = [&](int l) {
    return LayerStep{model.config, backend, batch, cache, act, probe, l};
  };
  enter_layers(step_of(0), model.layers.front().input_norm);
  Branch branch;
  for (int l = 0; l < model.config.num_layers(); ++l) {
    const Layer& layer = model.layers[static_cast<size_t>(l)];
    if (l > 0) {
      add_residual(step_of(l), model.config.mlp_residual, branch, layer.input_norm);
      observe(probe, ProbePoint::kLayer, l - 1, x);
    }
    branch = run_layer(layer, step_of(l));
  }
  return project_logits(model, step_of(model.config.num_layers() - 1), branch);
}

}  // namespace mm
