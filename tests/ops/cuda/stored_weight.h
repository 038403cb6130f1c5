/// Random weights in every format that a device multiplies.
#pragma once

#include "ops/backend.h"
#include "tests/ops/fixtures.h"

namespace mm::testing {

struct Format {
  const char* name;
  QuantFormat format;
  DType data;
  DType scales;
  int group;
};

inline const Format kFormats[] = {
    {"f32", QuantFormat::kNone, DType::kF32, DType::kF32, 0},
    {"bf16", QuantFormat::kNone, DType::kBf16, DType::kF32, 0},
    {"int8", QuantFormat::kInt8Channel, DType::kI8, DType::kF32, 0},
    {"fp8", QuantFormat::kFp8Channel, DType::kF8E4M3, DType::kF32, 0},
    {"int4_32", QuantFormat::kInt4Group, DType::kI32, DType::kBf16, 32},
    {"int4_128", QuantFormat::kInt4Group, DType::kI32, DType::kF32, 128}};

/// A random weight and the tensors it borrows.
struct Stored {
  Tensor data;
  Tensor scales;
  Weight weight;

  Stored(const Format& format, int64_t rows, int64_t cols, Random& random) {
    if (format.format == QuantFormat::kNone) {
      data = random_tensor(random, format.data, {rows, cols}, 0.1);
      weight = Weight::dense(data);
      return;
    }
    const bool channel = format.group == 0;
    data = Tensor(format.data, {rows, channel ? cols : cols / 8});
    auto* bytes = static_cast<uint8_t*>(data.view().data);
    for (int64_t i = 0; i < data.view().bytes(); ++i) {
      bytes[i] = static_cast<uint8_t>(random.below(256));
      if (format.format == QuantFormat::kFp8Channel && (bytes[i] & 0x7f) == 0x7f)
        bytes[i] ^= 1;  // not a number
    }
    scales = random_tensor(random, format.scales, {rows, channel ? 1 : cols / format.group}, 0.01);
    weight.data = data;
    weight.scales = scales;
    weight.format = format.format;
    weight.group_size = format.group;
    weight.rows = rows;
    weight.cols = cols;
  }
};

}  // namespace mm::testing
