#include "model/quantize_matrix.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "ops/reference/access.h"
#include "tensor/quantize_rows.h"

namespace mm {
namespace {

// Elements encoded at a time: bounds the memory beside the mapped input.
constexpr int64_t kSliceElements = int64_t{8} << 20;

void check_finite(const MatrixEncoder& encoder, int64_t row, const std::vector<float>& values) {
  const bool finite =
      std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
  if (!finite)
    bad_input("{}: row {} holds an infinite or undefined weight, expected finite numbers",
              encoder.name, row);
}

void encode(const std::vector<float>& values, const Weight& out) {
  if (out.format == QuantFormat::kInt8Channel) {
    *out.scales.ptr<float>() = encode_int8_row(values, out.data.ptr<int8_t>());
  } else if (out.format == QuantFormat::kFp8Channel) {
    *out.scales.ptr<float>() = encode_fp8_row(values, out.data.ptr<Float8E4M3>());
  } else {
    encode_int4_row(values, out.group_size, out.data.ptr<int32_t>(), out.scales.ptr<BFloat16>());
  }
}

// Measures what readers will decode, not what the encoder believes it wrote.
QuantizeError measure(const std::vector<float>& values, const Weight& encoded) {
  const std::vector<double> decoded = reference::decode_row(encoded, 0);
  QuantizeError sums;
  for (size_t k = 0; k < values.size(); ++k) {
    const double value = values[k];
    const double error = std::abs(value - decoded[k]);
    sums.square += error * error;
    sums.reference += value * value;
    sums.largest = std::max(sums.largest, error);
  }
  return sums;
}

/// Room for the encoded form of some rows.
struct Slice {
  Tensor data;
  Tensor scales;
  Weight weight;

  Slice(const MatrixEncoder& encoder, int64_t rows) {
    const int64_t cols = encoder.source.dim(1);
    if (encoder.format == QuantFormat::kInt4Group) {
      data = Tensor(DType::kI32, {rows, cols / 8});
      scales = Tensor(DType::kBf16, {rows, cols / encoder.group_size});
    } else {
      const bool int8 = encoder.format == QuantFormat::kInt8Channel;
      data = Tensor(int8 ? DType::kI8 : DType::kF8E4M3, {rows, cols});
      scales = Tensor(DType::kF32, {rows, 1});
    }
    weight.data = data.view();
    weight.scales = scales.view();
    weight.format = encoder.format;
    weight.group_size = encoder.group_size;
    weight.rows = rows;
    weight.cols = cols;
  }
};

}  // namespace

void QuantizeError::add(const QuantizeError& other) {
  square += other.square;
  reference += other.reference;
  largest = std::max(largest, other.largest);
}

QuantizeError MatrixEncoder::run(
    ThreadPool& pool,
    FunctionRef<void(const TensorView& data, const TensorView& scales)> emit) const {
  const int64_t rows = source.dim(0);
  const int64_t cols = source.dim(1);
  const int64_t step = std::min(rows, std::max<int64_t>(1, kSliceElements / cols));
  QuantizeError total;
  for (int64_t begin = 0; begin < rows; begin += step) {
    const Slice slice(*this, std::min(step, rows - begin));
    std::vector<QuantizeError> errors(static_cast<size_t>(slice.weight.rows));
    pool.parallel_for(slice.weight.rows, 1, [&](int64_t first, int64_t last, int) {
      std::vector<float> values(static_cast<size_t>(cols));
      for (int64_t r = first; r < last; ++r) {
        to_floats(source.at(begin + r), values.data());
        check_finite(*this, begin + r, values);
        const Weight row = slice.weight.slice_rows(r, r + 1);
        encode(values, row);
        errors[static_cast<size_t>(r)] = measure(values, row);
      }
    });
    // In row order: sums must not depend on threads.
    for (const QuantizeError& error : errors) total.add(error);
    emit(slice.weight.data, slice.weight.scales);
  }
  return total;
}

}  // namespace mm
