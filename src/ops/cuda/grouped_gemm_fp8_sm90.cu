// The grouped product of e4m3 operands: see prim/grouped_gemm.cuh.
#include "ops/cuda/prim/grouped_gemm.cuh"

namespace mm::cuda {

void launch_grouped_gemm_fp8(const GroupedGemmParams& params, const RowMaps& x, int blocks,
                             cudaStream_t stream) {
  launch_grouped_gemm_of<Fp8Operands>(params, x, blocks, stream);
}

}  // namespace mm::cuda
