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

}  // namespace mm
