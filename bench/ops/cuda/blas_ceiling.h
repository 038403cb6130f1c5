/// The product ceiling, apart because kernels' files do not see host libraries.
#pragma once

#include <cuda_runtime_api.h>

namespace mm::bench {

/// FLOP/s of an 8192³ bf16 product of random matrices by cuBLASLt; 0 without the library.
double measure_product(cudaStream_t stream);

}  // namespace mm::bench
