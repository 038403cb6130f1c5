/// One step of the model: ids in, logits out, cache advanced.
#pragma once

#include "model/activations.h"
#include "model/batch.h"
#include "model/model.h"
#include "model/probe.h"
#include "ops/backend.h"

namespace mm {

/// Runs the batch through all layers; reads and updates the caches; returns f32 logits
/// [rows wanted, V], a view into `activations` valid until the next call.
/// The rows of a step may be any contiguous chunk of each sequence: results do not depend on how a
/// sequence is cut into steps (bit for bit on the CPU).
TensorView forward(const Model& model, Backend& backend, const Batch& batch,
                   const CacheViews& cache, Activations& activations, const Probe* probe = nullptr);

}  // namespace mm
