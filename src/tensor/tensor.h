/// Tensors: `Tensor` owns, `TensorView` borrows.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/check.h"
#include "tensor/buffer.h"
#include "tensor/device.h"
#include "tensor/dtype.h"

namespace mm {

constexpr int kMaxRank = 5;

/// A borrowed strided array: plain data. Views of read-only memory (mapped weights) have the same
/// type; nothing writes to a view that an op's contract does not name as output.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kF32;
  int rank = 0;
  std::array<int64_t, kMaxRank> shape{};
  std::array<int64_t, kMaxRank> strides{};  ///< in elements
  Device device;

  /// Contiguous, row-major.
  static TensorView contiguous(const void* data, DType dtype, std::initializer_list<int64_t> shape);

  int64_t dim(int axis) const { return shape[static_cast<size_t>(axis)]; }
  int64_t stride(int axis) const { return strides[static_cast<size_t>(axis)]; }
  int64_t numel() const;
  int64_t bytes() const { return numel() * size_of(dtype); }
  bool is_contiguous() const;
  bool empty() const { return data == nullptr; }

  /// Typed pointer to the first element. MM_CHECKs the type.
  template <typename T>
  T* ptr() const {
    MM_CHECK(dtype == DTypeOf<T>::value, "tensor is {}", to_string(dtype));
    return static_cast<T*>(data);
  }

  /// Elements [begin, end) of axis 0.
  TensorView slice(int64_t begin, int64_t end) const;
  /// Element `index` of axis 0: rank falls by one.
  TensorView at(int64_t index) const;
  /// The same memory with another shape; only for contiguous views of equal numel.
  TensorView reshape(std::initializer_list<int64_t> new_shape) const;
};

/// "BF16 [7, 128]", for messages.
std::string to_string(const TensorView& view);

/// Copies a contiguous view to another of equal type and shape, between any devices; returns when
/// the elements have arrived.
void copy(const TensorView& from, const TensorView& to);

/// An owned contiguous tensor, zero-filled.
class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, std::initializer_list<int64_t> shape) : Tensor(dtype, shape, Device{}) {}
  Tensor(DType dtype, std::initializer_list<int64_t> shape, Device device);
  /// In host memory that queue_copy() may use with `device`.
  static Tensor for_copies(DType dtype, std::initializer_list<int64_t> shape, Device device);

  const TensorView& view() const { return view_; }
  // NOLINTNEXTLINE(google-explicit-constructor): a Tensor is usable wherever its view is
  operator const TensorView&() const { return view_; }
  template <typename T>
  T* ptr() const {
    return view_.ptr<T>();
  }

 private:
  Buffer buffer_;
  TensorView view_;
};

}  // namespace mm
