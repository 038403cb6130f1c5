#include "ops/cuda/check.h"

#include "base/error.h"

namespace mm::cuda {

void check(cudaError_t status, const char* call, const char* file, int line) {
  if (status == cudaSuccess) {
    return;
  }
  raise(ErrorKind::kDevice, "{}: {} from {} ({}:{})", cudaGetErrorName(status),
        cudaGetErrorString(status), call, file, line);
}

}  // namespace mm::cuda
