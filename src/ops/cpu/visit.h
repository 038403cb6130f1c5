/// The one place of the CPU ops where a run-time float type becomes a C++ type.
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

}  // namespace mm::cpu
