/// Encoders of the quantised weight formats (quant.h): one row of a matrix at a time.
#pragma once

#include <cstdint>
#include <span>

#include "base/float_types.h"
#include "tensor/tensor.h"

namespace mm {

/// Symmetric int8 with one scale: scale = max|w| / 127, q = round(w / scale) in [-127, 127], ties
/// to even. Writes row.size() values to `q` and returns the scale; a zero row has scale 1.
/// Source: the published W8A16 rule (docs/model.md §7).
float encode_int8_row(std::span<const float> row, int8_t* q);

/// e4m3 with one scale: scale = max|w| / 448, the largest e4m3; q = w / scale rounded to nearest,
/// ties to even. Writes row.size() values to `q` and returns the scale; a zero row has scale 1.
float encode_fp8_row(std::span<const float> row, Float8E4M3* q);

/// Symmetric int4 in groups: w ≈ scale · q, q in [-8, 7], stored q + 8, eight to a word, lowest
/// bits first. `row.size()` must be a multiple of `group_size`, itself a multiple of 8. Each scale
/// is the one of several candidates around max|w| / 7 … max|w| / 8, and of their least-squares
/// refinement, whose squared error over the group is least. Writes row.size() / 8 words and
/// row.size() / group_size scales.
void encode_int4_row(std::span<const float> row, int group_size, int32_t* words, BFloat16* scales);

/// The elements of a contiguous f32, bf16 or f16 tensor as f32.
void to_floats(const TensorView& source, float* out);

}  // namespace mm
