#include <cmath>

#include "ops/reference/access.h"
#include "ops/reference/ops.h"

namespace mm::reference {

void rope(const RopeArgs& args) {
  const int64_t half = args.rotary_dim / 2;
  const int32_t* positions = args.positions.ptr<int32_t>();
  for (int64_t t = 0; t < args.x.dim(0); ++t) {
    for (int64_t i = 0; i < half; ++i) {
      const double exponent = -static_cast<double>(i) / static_cast<double>(half);
      const double angle = positions[t] * std::pow(args.theta, exponent);
      const double cosine = std::cos(angle);
      const double sine = std::sin(angle);
      for (int64_t h = 0; h < args.x.dim(1); ++h) {
        const int64_t first = head_offset(args.x, t, h) + i;
        const double a = load(args.x, first);
        const double b = load(args.x, first + half);
        store(args.x, first, a * cosine - b * sine);
        store(args.x, first + half, b * cosine + a * sine);
      }
    }
  }
}

}  // namespace mm::reference
