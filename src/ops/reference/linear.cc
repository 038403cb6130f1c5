#include "ops/reference/access.h"
#include "ops/reference/ops.h"

namespace mm::reference {

void embed(const TensorView& ids, const Weight& table, const TensorView& out) {
  for (int64_t t = 0; t < ids.dim(0); ++t) {
    const int64_t id = ids.ptr<int32_t>()[t];
    MM_CHECK(0 <= id && id < table.rows, "token id {} of a vocabulary of {}", id, table.rows);
    const std::vector<double> row = decode_row(table, id);
    for (int64_t d = 0; d < table.cols; ++d)
      store(out, t * table.cols + d, row[static_cast<size_t>(d)]);
  }
}

void linear(const TensorView& x, const Weight& w, const TensorView& out) {
  for (int64_t n = 0; n < w.rows; ++n) {
    const std::vector<double> row = decode_row(w, n);
    for (int64_t t = 0; t < x.dim(0); ++t) {
      double sum = 0;
      for (int64_t k = 0; k < w.cols; ++k)
        sum += load(x, t * w.cols + k) * row[static_cast<size_t>(k)];
      store(out, t * w.rows + n, sum);
    }
  }
}

void grouped_linear(const TensorView& x, const TensorView& offsets, std::span<const Weight> weights,
                    const TensorView& out) {
  for (size_t e = 0; e < weights.size(); ++e) {
    const int64_t begin = offsets.ptr<int32_t>()[e];
    const int64_t end = offsets.ptr<int32_t>()[e + 1];
    linear(x.slice(begin, end), weights[e], out.slice(begin, end));
  }
}

}  // namespace mm::reference
