/// Turns CUDA's status codes into mm::Error.
#pragma once

#include <cuda_runtime_api.h>

namespace mm::cuda {

/// Throws kDevice, with CUDA's name and text for `status`, the call and its place; returns on
/// cudaSuccess. Kernels' own files see only this declaration, so nvcc never parses fmt.
void check(cudaError_t status, const char* call, const char* file, int line);

}  // namespace mm::cuda

/// MM_CUDA(cudaMalloc(...)): throws kDevice when the call does not return cudaSuccess.
#define MM_CUDA(call) ::mm::cuda::check((call), #call, __FILE__, __LINE__)
