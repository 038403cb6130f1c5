#include <cmath>

#include "ops/reference/access.h"
#include "ops/reference/ops.h"

namespace mm::reference {
namespace {

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

void cast(const TensorView& x, const TensorView& out) {
  for (int64_t i = 0; i < x.numel(); ++i) store(out, i, load(x, i));
}

void add_scaled(const TensorView& a, float alpha, const TensorView& b, float beta,
                const TensorView& out) {
  for (int64_t i = 0; i < a.numel(); ++i)
    store(out, i, double{alpha} * load(a, i) + double{beta} * load(b, i));
}

void silu(const TensorView& x) {
  for (int64_t i = 0; i < x.numel(); ++i) store(x, i, load(x, i) * sigmoid(load(x, i)));
}

void silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out) {
  for (int64_t i = 0; i < gate.numel(); ++i)
    store(out, i, load(gate, i) * sigmoid(load(gate, i)) * load(up, i));
}

void sigmoid_mul(const TensorView& gate, const TensorView& x, const TensorView& out) {
  for (int64_t i = 0; i < gate.numel(); ++i) store(out, i, sigmoid(load(gate, i)) * load(x, i));
}

}  // namespace mm::reference
