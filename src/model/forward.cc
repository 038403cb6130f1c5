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

/// x ← alpha · residual + beta · branch, where the residual of a post-norm model is the normalised
/// input of the branch: no un-normalised path runs through the network.
void add_residual(const LayerStep& step, const ResidualScale& scale) {
  const int64_t rows = step.rows();
  const TensorView x = first_rows(step.act.x, rows);
  const TensorView residual = step.config.post_norm ? first_rows(step.act.normed, rows) : x;
  step.backend.add_scaled(residual, static_cast<float>(scale.alpha),
                          first_rows(step.act.branch, rows), static_cast<float>(scale.beta), x);
}

/// norm → attention → residual → norm → experts → residual.
void run_layer(const Layer& layer, const LayerStep& step) {
  Backend& backend = step.backend;
  const ModelConfig& config = step.config;
  const int64_t rows = step.rows();
  const float eps = static_cast<float>(config.rms_norm_eps);
  const TensorView x = first_rows(step.act.x, rows);
  const TensorView normed = first_rows(step.act.normed, rows);
  const TensorView branch = first_rows(step.act.branch, rows);

  backend.rms_norm(x, layer.input_norm, eps, normed);
  TensorView input = as_product_input(step, normed, step.act.input);
  std::visit([&](const auto& attention) { attend(attention, step, input, branch); },
             layer.attention);
  add_residual(step, attention_residual(config, layer));

  backend.rms_norm(x, layer.post_norm, eps, normed);
  input = as_product_input(step, normed, step.act.input);
  mix_experts(layer.moe, step, normed, input, branch);
  add_residual(step, config.mlp_residual);
}

/// Final norm and output matrix, for the rows that want logits only.
TensorView project_logits(const Model& model, Backend& backend, const Batch& batch,
                          Activations& act, const Probe* probe) {
  const int64_t wanted = batch.logit_rows.dim(0);
  const TensorView x = first_rows(act.logit_x, wanted);
  const TensorView logits = first_rows(act.logits, wanted);
  backend.gather_rows(first_rows(act.x, batch.ids.dim(0)), batch.logit_rows, x);
  backend.rms_norm(x, model.final_norm, static_cast<float>(model.config.rms_norm_eps), x);
  observe(probe, ProbePoint::kFinalNorm, model.config.num_layers(), x);
  backend.linear(x, model.head, logits);
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
  for (int l = 0; l < model.config.num_layers(); ++l) {
    run_layer(model.layers[static_cast<size_t>(l)],
              {model.config, backend, batch, cache, act, probe, l});
    observe(probe, ProbePoint::kLayer, l, x);
  }
  return project_logits(model, backend, batch, act, probe);
}

}  // namespace mm
