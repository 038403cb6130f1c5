#include "ops/cuda/from_views.h"

namespace mm::cuda {
namespace {

WeightKind kind_of(const Weight& weight) {
  switch (weight.format) {
    case QuantFormat::kInt8Channel:
      return WeightKind::kInt8;
    case QuantFormat::kFp8Channel:
      return WeightKind::kFp8;
    case QuantFormat::kInt4Group:
      return weight.scales.dtype == DType::kF32 ? WeightKind::kInt4F32 : WeightKind::kInt4Bf16;
    case QuantFormat::kNone:
      break;
  }
  switch (weight.data.dtype) {
    case DType::kF32:
      return WeightKind::kF32;
    case DType::kF16:
      return WeightKind::kF16;
    default:
      MM_CHECK(weight.data.dtype == DType::kBf16, "weight is {}", to_string(weight.data));
      return WeightKind::kBf16;
  }
}

}  // namespace

WeightShape shape_of(const Weight& weight) {
  return {kind_of(weight), weight.group_size, weight.rows, weight.cols};
}

}  // namespace mm::cuda
