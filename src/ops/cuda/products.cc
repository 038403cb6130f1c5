#include "ops/cuda/products.h"

#include "base/check.h"
#include "ops/cuda/from_views.h"
#include "ops/cuda/grouped_gemm_sm90.h"
#include "ops/cuda/narrow_linear.h"
#include "ops/cuda/round_fp8.h"
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

bool is_aligned(const LinearParams& p, const ExpertWeights& weights) {
  auto bits = reinterpret_cast<uintptr_t>(p.x) | reinterpret_cast<uintptr_t>(p.out);
  for (int e = 0; e < p.experts; ++e) bits |= reinterpret_cast<uintptr_t>(weights.at[e].data);
  return bits % 16 == 0;
}

bool fits_grouped_gemm(const LinearParams& p, const ExpertWeights& weights) {
  return p.x_type == DType::kBf16 && p.shape.kind == WeightKind::kBf16 && p.shape.cols % 8 == 0 &&
         p.shape.rows % 8 == 0 && is_aligned(p, weights);
}

// Whether products of this call are done on rows rounded to e4m3: all or none of a weight's,
// however many rows there are, so that decoding and prefill round alike.
bool fits_fp8(const LinearParams& p, const ExpertWeights& weights) {
  return p.x_type == DType::kBf16 && p.shape.kind == WeightKind::kFp8 && p.shape.cols % 16 == 0 &&
         p.shape.rows % 8 == 0 && is_aligned(p, weights);
}

int64_t round_up(int64_t bytes) {
  return (bytes + 255) / 256 * 256;
}

}  // namespace

Products::Products(const ProductOptions& options, Workspace& workspace)
    : options_(options), workspace_(workspace), counter_(sizeof(int32_t), options.device) {
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
    std::vector<const void*> scales;
    for (int e = 0; e < p.experts; ++e) {
      maps.push_back(
          make_matrix_map(weights.at[e].data, p.x_type, p.shape.rows, p.shape.cols, kWeightBox));
      scales.push_back(weights.at[e].scales);
    }
    const auto map_bytes = static_cast<int64_t>(maps.size() * sizeof(CUtensorMap));
    const auto scale_bytes = static_cast<int64_t>(scales.size() * sizeof(void*));
    at = maps_.emplace(std::move(key), Buffer(map_bytes + scale_bytes, options_.device)).first;
    auto* to = static_cast<char*>(at->second.data());
    copy_bytes(to, options_.device, maps.data(), Device{}, map_bytes);
    copy_bytes(to + map_bytes, options_.device, scales.data(), Device{}, scale_bytes);
  }
  return at->second.data();
}

LinearParams Products::round_fp8(const LinearParams& p, cudaStream_t stream) {
  const int64_t code_bytes = round_up(p.rows * p.shape.cols);
  auto* codes = static_cast<char*>(
      workspace_.reserve(code_bytes + round_up(p.rows * static_cast<int64_t>(sizeof(float)))));
  auto* scales = reinterpret_cast<float*>(codes + code_bytes);
  if (!rows_are_shared_ || rounded_rows_ != p.x)
    launch_round_fp8({p.x, codes, scales, p.rows, p.shape.cols}, stream);
  rounded_rows_ = p.x;
  LinearParams rounded = p;
  rounded.x = codes;
  rounded.x_type = DType::kF8E4M3;
  rounded.x_scales = scales;
  return rounded;
}

void Products::run_grouped_gemm(const LinearParams& p, const ExpertWeights& weights,
                                cudaStream_t stream) {
  const auto* maps = static_cast<const CUtensorMap*>(weight_maps(weights, p));
  const GroupedGemmParams params = {
      .offsets = p.offsets,
      .weights = maps,
      .weight_scales = reinterpret_cast<const float* const*>(maps + p.experts),
      .x_scales = p.x_scales,
      .out = p.out,
      .counter = static_cast<int32_t*>(counter_.data()),
      .out_type = p.out_type,
      .rows = p.rows,
      .experts = p.experts,
      .n = static_cast<int>(p.shape.rows),
      .k = static_cast<int>(p.shape.cols)};
  const CUtensorMap x = make_matrix_map(p.x, p.x_type, p.rows, p.shape.cols, kRowBox);
  if (p.x_type == DType::kF8E4M3) {
    launch_grouped_gemm_fp8(params, x, options_.multiprocessors, stream);
  } else {
    launch_grouped_gemm(params, x, options_.multiprocessors, stream);
  }
}

bool Products::run_fast(LinearParams p, const ExpertWeights& weights, cudaStream_t stream) {
  if (options_.plain)
    return false;
  const bool fp8 = fits_fp8(p, weights);
  if (fp8)
    p = round_fp8(p, stream);
  if (fits_skinny_linear(p) && prefers_skinny_linear(p)) {
    launch_skinny_linear(p, weights, stream);
    return true;
  }
  const bool one = p.offsets == nullptr;
  if (one && blas_ != nullptr && p.x_type == DType::kBf16 && p.shape.kind == WeightKind::kBf16 &&
      blas_->multiply(
          {p.x, weights.at[0].data, p.out, p.out_type, p.rows, p.shape.rows, p.shape.cols}, stream))
    return true;
  if (!fp8 && !fits_grouped_gemm(p, weights))
    return false;
  run_grouped_gemm(p, weights, stream);
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
