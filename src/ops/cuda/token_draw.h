/// Tokens drawn where logits lie (ops/token_draw.h).
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace mm::cuda {

/// A list of an upload: where it begins, in bytes from the upload's beginning, and its entries.
struct DrawList {
  int64_t offset = 0;
  int64_t count = 0;
};

/// TokenDraw as it is uploaded; its lists follow in the same upload, aligned to 8 bytes.
struct DrawRow {
  double uniform;
  float inverse_temperature;  ///< 0: the best
  float top_p;
  float min_p;
  int32_t top_k;  ///< 0: off
  float repetition_penalty;
  float presence_penalty;
  float frequency_penalty;
  DrawList allowed;   ///< u64; none: all may come
  DrawList biases;    ///< i32 id, f32 bias
  DrawList repeated;  ///< i32
  DrawList drawn;     ///< i32 id, i32 times
  DrawList banned;    ///< i32
};

struct TokenDrawParams {
  const float* logits;  ///< [rows, vocab]
  int64_t rows;
  int64_t vocab;
  const char* upload;  ///< DrawRow [rows], then lists
  int32_t* ids;        ///< [rows]
};

/// Draws a token of each row. Ids outside the vocabulary are skipped. Rows that do not fit into the
/// shared memory of a cluster (more than 430 000 ids) become kTooManyCandidates, as do draws that
/// want more than 1792 ids ranked: a larger top_k, or so many equal logits where top_k or top_p
/// cuts. Throws kDevice.
void launch_token_draw(const TokenDrawParams& params, cudaStream_t stream);

}  // namespace mm::cuda
