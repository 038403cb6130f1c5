#include <cmath>

#include "ops/reference/access.h"
#include "ops/reference/ops.h"

namespace mm::reference {

void rms_norm(const TensorView& x, const TensorView& weight, float eps, const TensorView& out) {
  const int64_t size = x.dim(1);
  for (int64_t t = 0; t < x.dim(0); ++t) {
    double squares = 0;
    for (int64_t d = 0; d < size; ++d) squares += load(x, t * size + d) * load(x, t * size + d);
    const double scale = 1 / std::sqrt(squares / static_cast<double>(size) + double{eps});
    for (int64_t d = 0; d < size; ++d)
      store(out, t * size + d, load(weight, d) * load(x, t * size + d) * scale);
  }
}

}  // namespace mm::reference
