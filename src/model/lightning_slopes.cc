#include <bit>
#include <cmath>

#include "base/check.h"
#include "model/model.h"

namespace mm {
namespace {

/// 2^(-8(h+1)/count): the slopes of a power-of-two head count.
double power_slope(int h, int count) {
  return std::exp2(-8.0 * (h + 1) / count);
}

/// Heads past the largest power of two below `num_heads` take every second slope of twice as many.
double base_slope(int h, int num_heads) {
  const int power = static_cast<int>(std::bit_floor(static_cast<unsigned>(num_heads)));
  return h < power ? power_slope(h, power) : power_slope(2 * (h - power), 2 * power);
}

}  // namespace

Tensor lightning_slopes(int num_heads, int layer, int num_layers) {
  MM_CHECK(num_heads > 0 && 0 <= layer && layer < num_layers, "head {} layer {} of {}", num_heads,
           layer, num_layers);
  // A single layer has no depth to scale by and counts as the first.
  const double depth = num_layers == 1 ? 0.0 : static_cast<double>(layer) / (num_layers - 1);
  const double factor = 1.0 - depth + 1e-5;
  Tensor slopes(DType::kF32, {num_heads});
  for (int h = 0; h < num_heads; ++h)
    slopes.ptr<float>()[h] = static_cast<float>(base_slope(h, num_heads) * factor);
  return slopes;
}

}  // namespace mm
