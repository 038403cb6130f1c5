/// What every layer needs of the step it runs in.
#pragma once

#include "model/activations.h"
#include "model/batch.h"
#include "model/config.h"
#include "model/probe.h"
#include "ops/backend.h"

namespace mm {

/// One layer in one step. Borrows everything.
struct LayerStep {
  const ModelConfig& config;
  Backend& backend;
  const Batch& batch;
  const CacheViews& caches;
  Activations& act;
  const Probe* probe;  ///< may be null
  int layer;

  int64_t rows() const { return batch.ids.dim(0); }  ///< T
  const LayerCache& cache() const { return caches.layers[static_cast<size_t>(layer)]; }
};

/// The first `rows` rows of a buffer.
inline TensorView first_rows(const Tensor& buffer, int64_t rows) {
  return buffer.view().slice(0, rows);
}

/// Rounds x f32 [T, D] to what products read: `buffer` in bf16, x itself in f32.
inline TensorView as_product_input(const LayerStep& step, const TensorView& x,
                                   const Tensor& buffer) {
  if (step.act.compute == ComputeType::kF32) {
    return x;
  }
  const TensorView rounded = first_rows(buffer, x.dim(0));
  step.backend.cast(x, rounded);
  return rounded;
}

}  // namespace mm
