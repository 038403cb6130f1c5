/// The one place of the CPU ops where a run-time number type becomes a C++ type.
#pragma once

#include "tensor/tensor.h"

namespace mm::cpu {

/// Calls visitor(float*) or visitor(BFloat16*) with the view's first element.
template <typename Visitor>
void visit_float(const TensorView& view, Visitor&& visitor) {
  if (view.dtype == DType::kF32) {
    visitor(static_cast<float*>(view.data));
  } else {
    visitor(view.ptr<BFloat16>());
  }
}

/// Calls visitor(T*) with the first element of pages of keys and values: float, BFloat16, int8_t or
/// Float8E4M3.
template <typename Visitor>
void visit_pages(const TensorView& pages, Visitor&& visitor) {
  switch (pages.dtype) {
    case DType::kI8:
      visitor(pages.ptr<int8_t>());
      return;
    case DType::kF8E4M3:
      visitor(pages.ptr<Float8E4M3>());
      return;
    default:
      visit_float(pages, visitor);
  }
}

}  // namespace mm::cpu
