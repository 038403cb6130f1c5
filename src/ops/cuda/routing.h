/// Choosing experts and moving rows to them on a CUDA device.
#pragma once

#include <cstdint>

#include "ops/cuda/queue.h"
#include "tensor/dtype.h"

namespace mm::cuda {

/// Arguments of launch_route_topk and launch_route_weights. All pointers are device memory.
struct RouteParams {
  const float* logits = nullptr;  ///< [tokens, experts] f32
  int32_t* ids = nullptr;         ///< [tokens, choices], written by topk, read by weights
  float* weights = nullptr;       ///< [tokens, choices] f32, written by weights
  int64_t tokens = 0;             ///< > 0
  int experts = 0;                ///< E
  int choices = 0;                ///< A ≤ E
};

/// ids[t] = the A largest logits of a row, best first, ties to the lower id; NaN comes last.
void launch_route_topk(const RouteParams& params, Queue queue);
/// weights[t] = softmax over the chosen logits alone.
void launch_route_weights(const RouteParams& params, Queue queue);

/// Arguments of launch_group. All pointers are device memory.
struct GroupParams {
  const int32_t* ids = nullptr;  ///< [count], expert of each choice
  int32_t* order = nullptr;      ///< [count], token of each routed row, written
  int32_t* positions = nullptr;  ///< [count], routed row of each choice, written
  int32_t* offsets = nullptr;    ///< [experts + 1], written
  int64_t count = 0;             ///< T·A, < 2³¹
  int experts = 0;               ///< E > 0
  int choices = 0;               ///< A
};

/// Sorts choices by expert, stable in token order, in one launch: deterministic.
void launch_group(const GroupParams& params, Queue queue);

/// Arguments of launch_gather_rows. All pointers are device memory.
struct GatherParams {
  const void* x = nullptr;         ///< [x_rows, row_bytes]
  const int32_t* index = nullptr;  ///< [rows]
  void* out = nullptr;             ///< [rows, row_bytes], written
  int64_t rows = 0;                ///< > 0
  int64_t x_rows = 0;
  int64_t row_bytes = 0;
};

/// out[r] = x[index[r]]; an index outside x gives a row of zeros.
void launch_gather_rows(const GatherParams& params, Queue queue);

/// Arguments of launch_combine_rows. All pointers are device memory.
struct CombineParams {
  const float* x = nullptr;            ///< [x_rows, width] f32
  const int32_t* positions = nullptr;  ///< [tokens, choices], rows of x
  const float* weights = nullptr;      ///< [tokens, choices] f32
  float* out = nullptr;                ///< [tokens, width] f32, written
  int64_t tokens = 0;                  ///< > 0
  int64_t x_rows = 0;
  int64_t width = 0;
  int choices = 0;
};

/// out[t] = Σ_a weights[t][a] · x[positions[t][a]], in order of a.
void launch_combine_rows(const CombineParams& params, Queue queue);

}  // namespace mm::cuda
