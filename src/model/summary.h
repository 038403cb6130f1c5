/// What a model weighs and what a token costs: for `info`, `bench` and memory planning.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/model.h"

namespace mm {

/// The weights of one kind.
struct WeightSummary {
  std::string name;    ///< "experts", "attention", …
  std::string format;  ///< "BF16", "int8", "int4 g128"; several joined by "+"
  int64_t tensors = 0;
  int64_t parameters = 0;
  int64_t bytes = 0;  ///< scales included
};

/// What sequences keep, in values: multiply by the size of their type.
struct CacheCost {
  int64_t kv_per_token = 0;         ///< 2·G·K per softmax layer
  int64_t kv_scales_per_token = 0;  ///< f32, where keys and values are codes: 2·G per softmax layer
  int64_t state = 0;  ///< f32 recurrent state per sequence: H·K² per lightning layer
  int64_t tail = 0;   ///< keys and values since the last block boundary, per sequence
};

CacheCost cache_cost(const ModelConfig& config);

/// Bytes that a token leaves behind as keys and values of this type, scales included.
int64_t kv_bytes_per_token(const CacheCost& cost, DType dtype);

/// Sizes of a model; a tied head counts once, as the embedding.
struct ModelSummary {
  std::vector<WeightSummary> classes;  ///< in the order of the weight table
  int64_t tensors = 0;
  int64_t parameters = 0;
  int64_t bytes = 0;
  /// Parameters one token passes through: all but the experts it is not routed to. A row of the
  /// embedding and the whole head count.
  int64_t active_parameters = 0;
  /// Bytes of weights that decoding one token reads.
  int64_t bytes_per_token = 0;
  CacheCost cache;
};

ModelSummary summarize(const Model& model);

/// "BF16", "int8", "int4 g128".
std::string format_name(const Weight& weight);

}  // namespace mm
