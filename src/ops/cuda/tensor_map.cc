#include "ops/cuda/tensor_map.h"

#include "base/check.h"
#include "ops/cuda/check.h"

namespace mm::cuda {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

// Through the runtime: the program does not link the driver's library.
Encode find_encode() {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult result{};
  MM_CUDA(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                           cudaEnableDefault, &result));
  if (function == nullptr || result != cudaDriverEntryPointSuccess)
    raise(ErrorKind::kDevice, "the CUDA driver has no cuTensorMapEncodeTiled: it is too old");
  return reinterpret_cast<Encode>(function);
}

}  // namespace

CUtensorMap make_tensor_map(const TensorMapSpec& spec) {
  static const Encode encode = find_encode();
  CUtensorMap map{};
  std::array<uint64_t, 5> sizes{};
  std::array<uint64_t, 5> strides{};
  std::array<uint32_t, 5> box{};
  const std::array<uint32_t, 5> steps{1, 1, 1, 1, 1};
  for (size_t i = 0; i < static_cast<size_t>(spec.rank); ++i) {
    sizes[i] = static_cast<uint64_t>(spec.sizes[i]);
    box[i] = static_cast<uint32_t>(spec.box[i]);
    if (i > 0)
      strides[i - 1] = static_cast<uint64_t>(spec.strides[i] * size_of(spec.dtype));
  }
  const CUtensorMapDataType type = spec.dtype == DType::kF32  ? CU_TENSOR_MAP_DATA_TYPE_FLOAT32
                                   : size_of(spec.dtype) == 1 ? CU_TENSOR_MAP_DATA_TYPE_UINT8
                                                              : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  const CUresult status =
      encode(&map, type, static_cast<uint32_t>(spec.rank), const_cast<void*>(spec.data),
             sizes.data(), strides.data(), box.data(), steps.data(), CU_TENSOR_MAP_INTERLEAVE_NONE,
             CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  MM_CHECK(status == CUDA_SUCCESS, "cuTensorMapEncodeTiled: status {}", static_cast<int>(status));
  return map;
}

}  // namespace mm::cuda
