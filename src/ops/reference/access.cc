#include "ops/reference/access.h"

namespace mm::reference {
namespace {

void decode_int8(const Weight& w, int64_t n, std::vector<double>& row) {
  const int8_t* codes = w.data.ptr<int8_t>() + n * w.cols;
  const double scale = load(w.scales, n);
  for (size_t k = 0; k < row.size(); ++k) row[k] = scale * codes[k];
}

void decode_fp8(const Weight& w, int64_t n, std::vector<double>& row) {
  const double scale = load(w.scales, n);
  for (size_t k = 0; k < row.size(); ++k)
    row[k] = scale * load(w.data, n * w.cols + static_cast<int64_t>(k));
}

void decode_int4(const Weight& w, int64_t n, std::vector<double>& row) {
  const int32_t* words = w.data.ptr<int32_t>() + n * (w.cols / 8);
  const int64_t groups = w.cols / w.group_size;
  for (int64_t k = 0; k < w.cols; ++k) {
    const uint32_t word = static_cast<uint32_t>(words[k / 8]);
    const int code = static_cast<int>(word >> (4 * (k % 8)) & 15u) - 8;
    row[static_cast<size_t>(k)] = load(w.scales, n * groups + k / w.group_size) * code;
  }
}

}  // namespace

std::vector<double> decode_row(const Weight& w, int64_t n) {
  std::vector<double> row(static_cast<size_t>(w.cols));
  switch (w.format) {
    case QuantFormat::kNone:
      for (int64_t k = 0; k < w.cols; ++k)
        row[static_cast<size_t>(k)] = load(w.data, n * w.cols + k);
      break;
    case QuantFormat::kInt8Channel:
      decode_int8(w, n, row);
      break;
    case QuantFormat::kFp8Channel:
      decode_fp8(w, n, row);
      break;
    case QuantFormat::kInt4Group:
      decode_int4(w, n, row);
      break;
  }
  return row;
}

}  // namespace mm::reference
