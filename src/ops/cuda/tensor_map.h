/// Descriptors of tensors for the copy engine.
#pragma once

#include <cuda.h>

#include <array>
#include <cstdint>

#include "tensor/dtype.h"

namespace mm::cuda {

/// A tensor in global memory and the box that one copy moves, fastest axis first. A row of the box
/// is 128 bytes and lies in shared memory with the 128-byte swizzle.
struct TensorMapSpec {
  const void* data = nullptr;  ///< aligned to 16 bytes
  DType dtype = DType::kBf16;  ///< bf16, f32 or of one byte
  int rank = 0;                ///< 2 to 5
  std::array<int64_t, 5> sizes{};
  std::array<int64_t, 5> strides{};  ///< elements; the first is 1, the others multiples of 16 bytes
  std::array<int, 5> box{};
};

/// Throws kInternal when the driver refuses the description, kDevice when it has no such function.
CUtensorMap make_tensor_map(const TensorMapSpec& spec);

}  // namespace mm::cuda
