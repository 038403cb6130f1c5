/// Random tensors and ragged steps for tests and benches of ops.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <numbers>
#include <vector>

#include "base/rng.h"
#include "ops/backend.h"
#include "tensor/tensor.h"

namespace mm::testing {

/// Reproducible random numbers: each call continues the stream.
class Random {
 public:
  explicit Random(uint64_t seed) : seed_(seed) {}

  double uniform() { return philox_uniform(seed_, 0, next_++); }
  /// Roughly normal: a sum of four uniform numbers with mean 0 and deviation 1.
  double normal() {
    double sum = -2;
    for (uint32_t word : philox(seed_, 1, next_++)) sum += word * 0x1p-32;
    return sum * std::numbers::sqrt3;
  }
  int64_t below(int64_t limit) {
    return static_cast<int64_t>(uniform() * static_cast<double>(limit));
  }

 private:
  uint64_t seed_;
  uint64_t next_ = 0;
};

inline void put(const TensorView& view, int64_t i, double value) {
  if (view.dtype == DType::kF32) {
    view.ptr<float>()[i] = static_cast<float>(value);
  } else {
    view.ptr<BFloat16>()[i] = to_bfloat16(static_cast<float>(value));
  }
}

inline double get(const TensorView& view, int64_t i) {
  switch (view.dtype) {
    case DType::kF32:
      return view.ptr<float>()[i];
    case DType::kBf16:
      return to_float(view.ptr<BFloat16>()[i]);
    case DType::kF8E4M3:
      return to_float(view.ptr<Float8E4M3>()[i]);
    case DType::kI8:
      return view.ptr<int8_t>()[i];
    default:
      return view.ptr<int32_t>()[i];
  }
}

/// A float tensor with values scale · normal.
inline Tensor random_tensor(Random& random, DType dtype, std::initializer_list<int64_t> shape,
                            double scale = 1) {
  Tensor tensor(dtype, shape);
  for (int64_t i = 0; i < tensor.view().numel(); ++i) put(tensor, i, scale * random.normal());
  return tensor;
}

inline Tensor ints(const std::vector<int32_t>& values) {
  Tensor tensor(DType::kI32, {static_cast<int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.ptr<int32_t>());
  return tensor;
}

inline Tensor clone(const TensorView& view) {
  Tensor copy;
  switch (view.rank) {
    case 1:
      copy = Tensor(view.dtype, {view.dim(0)});
      break;
    case 2:
      copy = Tensor(view.dtype, {view.dim(0), view.dim(1)});
      break;
    case 3:
      copy = Tensor(view.dtype, {view.dim(0), view.dim(1), view.dim(2)});
      break;
    case 4:
      copy = Tensor(view.dtype, {view.dim(0), view.dim(1), view.dim(2), view.dim(3)});
      break;
    default:
      copy = Tensor(view.dtype, {view.dim(0), view.dim(1), view.dim(2), view.dim(3), view.dim(4)});
  }
  std::memcpy(copy.view().data, view.data, static_cast<size_t>(view.bytes()));
  return copy;
}

/// The elements as double.
inline std::vector<double> values(const TensorView& view) {
  std::vector<double> result(static_cast<size_t>(view.numel()));
  for (size_t i = 0; i < result.size(); ++i) result[i] = get(view, static_cast<int64_t>(i));
  return result;
}

inline bool same_bits(const TensorView& a, const TensorView& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.data, b.data, static_cast<size_t>(a.bytes())) == 0;
}

/// One sequence's part of a step.
struct Span {
  int64_t start;  ///< absolute position of its first row
  int64_t count;
};

/// The ragged layout of a step, owned.
struct Step {
  Tensor offsets;
  Tensor starts;
  int64_t rows = 0;

  explicit Step(const std::vector<Span>& spans) {
    std::vector<int32_t> ends = {0};
    std::vector<int32_t> begins;
    for (const Span& span : spans) {
      rows += span.count;
      ends.push_back(static_cast<int32_t>(rows));
      begins.push_back(static_cast<int32_t>(span.start));
    }
    offsets = ints(ends);
    starts = ints(begins);
  }
  Ragged ragged() const { return {offsets, starts}; }
};

}  // namespace mm::testing
