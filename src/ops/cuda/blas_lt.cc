#include "ops/cuda/blas_lt.h"

#include <cublasLt.h>
#include <dlfcn.h>

#include <array>
#include <map>
#include <tuple>

#include "base/error.h"

namespace mm::cuda {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;  // what NVIDIA advises for Hopper

void check(cublasStatus_t status, const char* call) {
  if (status != CUBLAS_STATUS_SUCCESS)
    raise(ErrorKind::kDevice, "{}: cuBLASLt status {}", call, static_cast<int>(status));
}

/// The functions of the library that are used here.
struct Library {
  void* handle = nullptr;
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtDestroy) destroy = nullptr;
  decltype(&cublasLtMatmul) matmul = nullptr;
  decltype(&cublasLtMatmulDescCreate) desc_create = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set = nullptr;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy = nullptr;
  decltype(&cublasLtMatrixLayoutCreate) layout_create = nullptr;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy = nullptr;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set = nullptr;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic = nullptr;

  bool load() {
    for (const char* name :
         {"libcublasLt.so.13", "libcublasLt.so.12", "/usr/local/cuda/lib64/libcublasLt.so.13"}) {
      handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
      if (handle != nullptr)
        break;
    }
    return handle != nullptr && find("cublasLtCreate", &create) &&
           find("cublasLtDestroy", &destroy) && find("cublasLtMatmul", &matmul) &&
           find("cublasLtMatmulDescCreate", &desc_create) &&
           find("cublasLtMatmulDescSetAttribute", &desc_set) &&
           find("cublasLtMatmulDescDestroy", &desc_destroy) &&
           find("cublasLtMatrixLayoutCreate", &layout_create) &&
           find("cublasLtMatrixLayoutDestroy", &layout_destroy) &&
           find("cublasLtMatmulPreferenceCreate", &preference_create) &&
           find("cublasLtMatmulPreferenceSetAttribute", &preference_set) &&
           find("cublasLtMatmulPreferenceDestroy", &preference_destroy) &&
           find("cublasLtMatmulAlgoGetHeuristic", &heuristic);
  }

  template <typename Function>
  bool find(const char* name, Function* function) {
    *function = reinterpret_cast<Function>(::dlsym(handle, name));
    return *function != nullptr;
  }
};

/// Everything about a product but its pointers.
struct Plan {
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t w = nullptr;
  cublasLtMatrixLayout_t x = nullptr;
  cublasLtMatrixLayout_t out = nullptr;
  cublasLtMatmulAlgo_t algorithm{};
  bool found = false;
};

using PlanKey = std::tuple<int64_t, int64_t, int64_t, DType>;  // rows, n, k, type of out

}  // namespace

struct BlasLt::Impl {
  Library library;
  cublasLtHandle_t handle = nullptr;
  Buffer workspace;
  std::map<PlanKey, Plan> plans;

  ~Impl() {
    for (auto& [key, plan] : plans) {
      library.desc_destroy(plan.desc);
      for (cublasLtMatrixLayout_t layout : {plan.w, plan.x, plan.out})
        library.layout_destroy(layout);
    }
    if (handle != nullptr)
      library.destroy(handle);
  }

  cublasLtMatrixLayout_t layout(cudaDataType type, int64_t rows, int64_t cols) const {
    cublasLtMatrixLayout_t result = nullptr;
    check(library.layout_create(&result, type, static_cast<uint64_t>(rows),
                                static_cast<uint64_t>(cols), rows),
          "cublasLtMatrixLayoutCreate");
    return result;
  }

  // Row-major out = x wᵀ is column-major outᵀ = w xᵀ, with w read transposed.
  Plan make_plan(const BlasLtParams& p) const {
    Plan plan;
    check(library.desc_create(&plan.desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "MatmulDescCreate");
    const cublasOperation_t transposed = CUBLAS_OP_T;
    check(library.desc_set(plan.desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
          "MatmulDescSetAttribute");
    plan.w = layout(CUDA_R_16BF, p.k, p.n);
    plan.x = layout(CUDA_R_16BF, p.k, p.rows);
    plan.out = layout(p.out_type == DType::kF32 ? CUDA_R_32F : CUDA_R_16BF, p.n, p.rows);
    cublasLtMatmulPreference_t preference = nullptr;
    check(library.preference_create(&preference), "MatmulPreferenceCreate");
    check(library.preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                 &kWorkspaceBytes, sizeof kWorkspaceBytes),
          "MatmulPreferenceSetAttribute");
    cublasLtMatmulHeuristicResult_t best{};
    int count = 0;
    const cublasStatus_t status = library.heuristic(handle, plan.desc, plan.w, plan.x, plan.out,
                                                    plan.out, preference, 1, &best, &count);
    library.preference_destroy(preference);
    plan.found = status == CUBLAS_STATUS_SUCCESS && count > 0;
    plan.algorithm = best.algo;
    return plan;
  }
};

BlasLt::BlasLt(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BlasLt::~BlasLt() = default;

std::unique_ptr<BlasLt> BlasLt::open(Device device) {
  auto impl = std::make_unique<Impl>();
  if (!impl->library.load())
    return nullptr;
  check(impl->library.create(&impl->handle), "cublasLtCreate");
  impl->workspace = Buffer(static_cast<int64_t>(kWorkspaceBytes), device);
  return std::unique_ptr<BlasLt>(new BlasLt(std::move(impl)));
}

bool BlasLt::multiply(const BlasLtParams& p, cudaStream_t stream) {
  const PlanKey key{p.rows, p.n, p.k, p.out_type};
  auto at = impl_->plans.find(key);
  if (at == impl_->plans.end())
    at = impl_->plans.emplace(key, impl_->make_plan(p)).first;
  const Plan& plan = at->second;
  if (!plan.found)
    return false;
  const float one = 1;
  const float zero = 0;
  check(impl_->library.matmul(impl_->handle, plan.desc, &one, p.w, plan.w, p.x, plan.x, &zero,
                              p.out, plan.out, p.out, plan.out, &plan.algorithm,
                              impl_->workspace.data(), kWorkspaceBytes, stream),
        "cublasLtMatmul");
  return true;
}

}  // namespace mm::cuda
