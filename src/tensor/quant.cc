#include "tensor/quant.h"

namespace mm {

const char* to_string(QuantFormat format) {
  switch (format) {
    case QuantFormat::kNone:
      return "none";
    case QuantFormat::kInt8Channel:
      return "int8";
    case QuantFormat::kFp8Channel:
      return "fp8";
    case QuantFormat::kInt4Group:
      return "int4";
  }
  return "unknown";
}

Weight Weight::dense(const TensorView& matrix) {
  MM_CHECK(matrix.rank == 2, "a weight is a matrix, got {}", to_string(matrix));
  Weight weight;
  weight.data = matrix;
  weight.rows = matrix.dim(0);
  weight.cols = matrix.dim(1);
  return weight;
}

Weight Weight::slice_rows(int64_t begin, int64_t end) const {
  Weight part = *this;
  part.data = data.slice(begin, end);
  if (!scales.empty())
    part.scales = scales.slice(begin, end);
  part.rows = end - begin;
  return part;
}

}  // namespace mm
