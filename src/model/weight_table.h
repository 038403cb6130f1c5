/// The one list of weights: it drives loading, quantising, random filling and counting.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/model.h"

namespace mm {

/// What reports group weights by.
enum class WeightClass { kEmbedding, kHead, kNorm, kAttention, kRouter, kExperts };

/// "embedding", "head", "norms", "attention", "routers", "experts".
const char* to_string(WeightClass kind);

/// How often a row of the table occurs.
enum class WeightScope { kModel, kLayer, kLightningLayer, kSoftmaxLayer, kExpert };

/// One row: a field of Model, its names in checkpoints, its shape in letters (V vocabulary, D
/// hidden, H heads, G key/value heads, K head size, E experts, F expert size).
struct WeightRow {
  WeightClass kind;
  WeightScope scope;
  const char* rows;
  const char* cols;  ///< null: a vector of `rows` elements
  bool quantisable;
  const char* name;     ///< original files and transformers 4.x; {l} layer, {e} expert
  const char* name_5x;  ///< transformers 5.x where it differs, else null
  /// With `parts` > 0 the 5.x tensor is [E, parts·rows, cols] and this matrix is rows
  /// [part·rows, (part + 1)·rows) of expert {e}; otherwise it is the same matrix.
  int part;
  int parts;
  Weight* (*matrix)(Model& model, int layer, int expert);  ///< null for vectors
  Tensor* (*vector)(Model& model, int layer);              ///< null for matrices
};

std::span<const WeightRow> weight_table();

/// A row at one place of one model.
struct WeightSlot {
  const WeightRow* row = nullptr;
  int layer = 0;
  int expert = 0;
  int64_t rows = 0;
  int64_t cols = 0;  ///< 1 for vectors

  bool is_vector() const { return row->cols == nullptr; }
  int64_t parameters() const { return rows * cols; }
  std::string name() const;
  std::string name_5x() const;  ///< empty when the row has none
  /// "[768 (3HK), 128 (D)]", for messages.
  std::string expected_shape() const;
  Weight& matrix(Model& model) const { return *row->matrix(model, layer, expert); }
  Tensor& vector(Model& model) const { return *row->vector(model, layer); }
};

/// Every weight of a model of this shape, in the order of the original files: embedding, layers,
/// final norm, head. The head is absent when tied.
std::vector<WeightSlot> weight_slots(const ModelConfig& config);

/// A model with the layers, attention kinds and expert lists of `config`, and empty weights.
Model make_empty_model(const ModelConfig& config);

/// Tensors that some transformers versions store and nobody should trust: decay buffers, which
/// are recomputed, and rotary frequencies.
bool is_ignored_tensor(std::string_view name);

}  // namespace mm
