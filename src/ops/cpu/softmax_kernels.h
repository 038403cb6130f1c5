/// The seam between softmax attention and its kernel of bf16 dot products.
/// Plain data only, as in linear_kernels.h: the file behind it is compiled with wider instructions,
/// so nothing here may have an inline function that the linker could take from there.
#pragma once

#include <cstdint>

namespace mm::cpu {

/// Lanes of a sum of weights.
constexpr int64_t kTotalLanes = 16;

/// Queries that meet one page of 64 keys and values of their kv head. Arrays of floats and words
/// are aligned to 64 bytes.
struct SoftmaxPage {
  const uint16_t* q;      ///< bf16 [queries, padded], zeros past head_size
  const int32_t* limits;  ///< [queries]: how many keys of the page each sees; ascending, ≥ 1
  int64_t queries;
  const uint16_t* keys;    ///< bf16 [64, head_size]
  const uint16_t* values;  ///< bf16 [64, head_size]
  int64_t stride;          ///< elements between rows of keys, and of values
  int64_t head_size;
  int64_t padded;  ///< head_size rounded up to 16
  float scale;     ///< of scores
  // What the queries have seen so far, as in SoftmaxPartial; sums of weights still in lanes.
  float* largest;  ///< [queries]
  float* totals;   ///< [queries, kTotalLanes]
  float* out;      ///< [queries, padded]
  // Scratch.
  uint32_t* packed;  ///< [32 · padded]
  float* scores;     ///< [queries, 64]
};

/// Adds a page to what its queries have seen. What becomes of a query depends on its own row of q,
/// its limit and the page alone, bit for bit, whichever queries stand beside it.
using SoftmaxPageKernel = void (*)(const SoftmaxPage& page);

/// With AVX512_BF16: scores and sums of values by bf16 dot products, f32 inside.
void softmax_page_bf16(const SoftmaxPage& page);

}  // namespace mm::cpu
