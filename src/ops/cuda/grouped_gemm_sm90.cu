// The grouped product of bf16 operands: see prim/grouped_gemm.cuh.
#include "ops/cuda/prim/grouped_gemm.cuh"

namespace mm::cuda {

void launch_grouped_gemm(const GroupedGemmParams& params, const RowMaps& x, int blocks,
                         cudaStream_t stream) {
  launch_grouped_gemm_of<Bf16Operands>(params, x, blocks, stream);
}

}  // namespace mm::cuda
