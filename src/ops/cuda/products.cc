#include "ops/cuda/products.h"

#include "base/check.h"
#include "ops/cuda/from_views.h"
#include "ops/cuda/grouped_gemm_sm90.h"
#include "ops/cuda/narrow_linear.h"
#include "ops/cuda/skinny_linear.h"

namespace mm::cuda {
namespace {

static_assert(kMaxExperts == kMaxGemmExperts);

LinearParams params_of(const TensorView& x, const Weight& w, const TensorView& out) {
  return {.x = x.data,
          .out = out.data,
          .x_type = x.dtype,
          .out_type = out.dtype,
          .rows = x.dim(0),
          .shape = shape_of(w)};
}

bool fits_grouped_gemm(const LinearParams& p, const ExpertWeights& weights) {
  auto bits = reinterpret_cast<uintptr_t>(p.x) | reinterpret_cast<uintptr_t>(p.out);
  for (int e = 0; e < p.experts; ++e) bits |= reinterpret_cast<uintptr_t>(weights.at[e].data);
  return p.x_type == DType::kBf16 && p.shape.kind == WeightKind::kBf16 && bits % 16 == 0 &&
         p.shape.cols % 8 == 0 && p.shape.rows % 8 == 0;
}

}  // namespace

Products::Products(const ProductOptions& options)
    : options_(options), counter_(sizeof(int32_t), options.device) {
  if (options.vendor_blas && !options.plain)
    blas_ = BlasLt::open(options.device);
}

const void* Products::weight_maps(const ExpertWeights& weights, const LinearParams& p) {
  std::vector<const void*> key;
  for (int e = 0; e < p.experts; ++e) key.push_back(weights.at[e].data);
  key.push_back(reinterpret_cast<const void*>(p.shape.rows));
  key.push_back(reinterpret_cast<const void*>(p.shape.cols));
  auto at = maps_.find(key);
  if (at == maps_.end()) {
    std::vector<CUtensorMap> maps;
    for (int e = 0; e < p.experts; ++e)
      maps.push_back(make_matrix_map(weights.at[e].data, p.shape.rows, p.shape.cols, kWeightBox));
    const auto bytes = static_cast<int64_t>(maps.size() * sizeof(CUtensorMap));
    at = maps_.emplace(std::move(key), Buffer(bytes, options_.device)).first;
    copy_bytes(at->second.data(), options_.device, maps.data(), Device{}, bytes);
  }
  return at->second.data();
}

bool Products::run_fast(const LinearParams& p, const ExpertWeights& weights, cudaStream_t stream) {
  if (options_.plain)
    return false;
  if (fits_skinny_linear(p) && prefers_skinny_linear(p)) {
    launch_skinny_linear(p, weights, stream);
    return true;
  }
  const bool one = p.offsets == nullptr;
  if (one && blas_ != nullptr && p.x_type == DType::kBf16 && p.shape.kind == WeightKind::kBf16 &&
      blas_->multiply(
          {p.x, weights.at[0].data, p.out, p.out_type, p.rows, p.shape.rows, p.shape.cols}, stream))
    return true;
  if (!fits_grouped_gemm(p, weights))
    return false;
  const CUtensorMap x = make_matrix_map(p.x, p.rows, p.shape.cols, kRowBox);
  launch_grouped_gemm({.offsets = p.offsets,
                       .weights = static_cast<const CUtensorMap*>(weight_maps(weights, p)),
                       .out = p.out,
                       .counter = static_cast<int32_t*>(counter_.data()),
                       .out_type = p.out_type,
                       .rows = p.rows,
                       .experts = p.experts,
                       .n = static_cast<int>(p.shape.rows),
                       .k = static_cast<int>(p.shape.cols)},
                      x, options_.multiprocessors, stream);
  return true;
}

void Products::run(const LinearParams& p, const ExpertWeights& weights, cudaStream_t stream) {
  if (run_fast(p, weights, stream))
    return;
  if (!options_.plain && prefers_narrow_linear(p) && fits_narrow_linear(p, weights)) {
    launch_narrow_linear(p, weights, stream);
  } else {
    launch_linear(p, weights, stream);
  }
}

void Products::linear(const TensorView& x, const Weight& w, const TensorView& out,
                      cudaStream_t stream) {
  const LinearParams params = params_of(x, w, out);
  ExpertWeights weights;
  weights.at[0] = ref_of(w);
  run(params, weights, stream);
}

void Products::grouped_linear(const TensorView& x, const TensorView& offsets,
                              std::span<const Weight> weights, const TensorView& out,
                              cudaStream_t stream) {
  MM_CHECK(weights.size() <= kMaxExperts, "{} experts, at most {}", weights.size(), kMaxExperts);
  LinearParams params = params_of(x, weights[0], out);
  params.offsets = offsets.ptr<int32_t>();
  params.experts = static_cast<int>(weights.size());
  ExpertWeights refs;
  for (size_t e = 0; e < weights.size(); ++e) refs.at[e] = ref_of(weights[e]);
  run(params, refs, stream);
}

}  // namespace mm::cuda
