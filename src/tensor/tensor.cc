#include "tensor/tensor.h"

#include <algorithm>

namespace mm {

TensorView TensorView::contiguous(const void* data, DType dtype,
                                  std::initializer_list<int64_t> shape) {
  MM_CHECK(shape.size() <= kMaxRank);
  TensorView view;
  view.data = const_cast<void*>(data);  // see the struct's comment on read-only memory
  view.dtype = dtype;
  view.rank = static_cast<int>(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    view.shape[i] = shape.begin()[i];
    view.strides[i] = stride;
    stride *= view.shape[i];
  }
  return view;
}

int64_t TensorView::numel() const {
  int64_t count = 1;
  for (int i = 0; i < rank; ++i) count *= dim(i);
  return count;
}

bool TensorView::is_contiguous() const {
  const auto* const axes_end = shape.begin() + rank;
  if (std::find(shape.begin(), axes_end, 0) != axes_end)
    return true;  // no element to lie apart; strides mean nothing
  int64_t expected = 1;
  for (int i = rank; i-- > 0;) {
    if (dim(i) != 1 && stride(i) != expected)
      return false;
    expected *= dim(i);
  }
  return true;
}

TensorView TensorView::slice(int64_t begin, int64_t end) const {
  MM_CHECK(rank > 0 && 0 <= begin && begin <= end && end <= dim(0), "[{}, {}) of {}", begin, end,
           to_string(*this));
  TensorView view = *this;
  view.data = static_cast<char*>(data) + begin * stride(0) * size_of(dtype);
  view.shape[0] = end - begin;
  return view;
}

TensorView TensorView::at(int64_t index) const {
  TensorView view = slice(index, index + 1);
  for (size_t i = 1; i < kMaxRank; ++i) {
    view.shape[i - 1] = view.shape[i];
    view.strides[i - 1] = view.strides[i];
  }
  --view.rank;
  return view;
}

TensorView TensorView::reshape(std::initializer_list<int64_t> new_shape) const {
  MM_CHECK(is_contiguous(), "{} is not contiguous", to_string(*this));
  TensorView view = contiguous(data, dtype, new_shape);
  view.device = device;
  MM_CHECK(view.numel() == numel(), "{} to {}", to_string(*this), to_string(view));
  return view;
}

std::string to_string(const TensorView& view) {
  std::string text = std::string(to_string(view.dtype)) + " [";
  for (int i = 0; i < view.rank; ++i) {
    if (i > 0)
      text += ", ";
    text += std::to_string(view.dim(i));
  }
  return text + "]";
}

void copy(const TensorView& from, const TensorView& to) {
  MM_CHECK(from.is_contiguous() && to.is_contiguous() && from.dtype == to.dtype &&
               from.rank == to.rank && from.shape == to.shape,
           "{} to {}", to_string(from), to_string(to));
  copy_bytes(to.data, to.device, from.data, from.device, from.bytes());
}

Tensor::Tensor(DType dtype, std::initializer_list<int64_t> shape, Device device)
    : view_(TensorView::contiguous(nullptr, dtype, shape)) {
  buffer_ = Buffer(view_.bytes(), device);
  view_.data = buffer_.data();
  view_.device = device;
}

Tensor Tensor::for_copies(DType dtype, std::initializer_list<int64_t> shape, Device device) {
  Tensor tensor;
  tensor.view_ = TensorView::contiguous(nullptr, dtype, shape);
  tensor.buffer_ = Buffer::for_copies(tensor.view_.bytes(), device);
  tensor.view_.data = tensor.buffer_.data();
  return tensor;
}

}  // namespace mm
