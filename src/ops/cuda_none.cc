// The CUDA backend of a build without CUDA: there is none.
#include "base/error.h"
#include "ops/cuda/backend.h"
#include "ops/cuda/ceilings.h"

namespace mm {

void check_cuda_backend(int device) {
  raise(ErrorKind::kUnsupported, "cuda:{}: this build has no CUDA; use --device cpu", device);
}

bool has_cuda_backend(int) {
  return false;
}

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options) {
  check_cuda_backend(options.device);
  return nullptr;
}

struct CudaCeilings::Impl {};

CudaCeilings::CudaCeilings(Device device) {
  check_cuda_backend(device.index);
}
CudaCeilings::~CudaCeilings() = default;
double CudaCeilings::read() {
  return 0;
}
double CudaCeilings::copy() {
  return 0;
}
double CudaCeilings::product() {
  return 0;
}

}  // namespace mm
