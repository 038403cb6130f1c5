/// Points of a forward pass where tests and tools look in. A null probe costs one comparison.
#pragma once

#include <cstdint>
#include <functional>

#include "tensor/tensor.h"

namespace mm {

enum class ProbePoint : uint8_t {
  kEmbedding,    ///< f32 [T, D] after the embedding; layer is -1
  kLayer,        ///< f32 [T, D] output of a layer
  kFinalNorm,    ///< f32 [*, D] after the final norm, rows that want logits; layer is L
  kRouterLogits  ///< f32 [T, E]
};

struct Probe {
  /// Sees a tensor; must not keep the view.
  std::function<void(ProbePoint, int layer, const TensorView&)> observe;
  /// Sees, and may overwrite, the chosen experts i32 [T, A] of a layer before they are used.
  std::function<void(int layer, const TensorView& ids)> route;
};

}  // namespace mm
