#include "ops/cuda/products.h"

#include <algorithm>

#include "base/check.h"
#include "ops/cuda/decode_weights.h"
#include "ops/cuda/elementwise.h"
#include "ops/cuda/few_outputs_linear.h"
#include "ops/cuda/from_views.h"
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

LinearParams grouped_params(const TensorView& x, const TensorView& offsets,
                            std::span<const Weight> weights, const TensorView& out) {
  MM_CHECK(weights.size() <= kMaxExperts, "{} experts, at most {}", weights.size(), kMaxExperts);
  LinearParams params = params_of(x, weights[0], out);
  params.offsets = offsets.ptr<int32_t>();
  params.experts = static_cast<int>(weights.size());
  return params;
}

ExpertWeights refs_of(std::span<const Weight> weights) {
  ExpertWeights refs;
  for (size_t e = 0; e < weights.size(); ++e) refs.at[e] = ref_of(weights[e]);
  return refs;
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

// Whether integer weights can be decoded for the large product.
bool fits_decoding(const LinearParams& p, const ExpertWeights& weights) {
  const bool integer = p.shape.kind == WeightKind::kInt8 || p.shape.kind == WeightKind::kInt4F32 ||
                       p.shape.kind == WeightKind::kInt4Bf16;
  return integer && p.x_type == DType::kBf16 && p.shape.cols % 8 == 0 && p.shape.rows % 8 == 0 &&
         is_aligned(p, weights);
}

// Of decoded weights that lie in memory at a time, unless one matrix is larger.
constexpr int64_t kMostDecodedBytes = int64_t{512} << 20;

GemmWeights single_weights(const WeightRef& w, const LinearParams& p) {
  return {.map = make_weight_map(w.data, p.x_type, p.shape.rows, p.shape.cols),
          .scales = static_cast<const float*>(w.scales)};
}

GemmWeights gated_weights(const WeightRef& gate, const WeightRef& up, const LinearParams& p) {
  const bool swapped = up.data < gate.data;
  const WeightRef& first = swapped ? up : gate;
  const WeightRef& second = swapped ? gate : up;
  return {.map = make_gated_map(first.data, second.data, p.x_type, p.shape.rows, p.shape.cols),
          .scales = static_cast<const float*>(first.scales),
          .second_scales = static_cast<const float*>(second.scales),
          .second_is_gate = swapped};
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

const GemmWeights* Products::gemm_weights(const ExpertWeights& weights, const ExpertWeights* second,
                                          const LinearParams& p) {
  std::vector<const void*> key;
  for (const ExpertWeights* each : {&weights, second}) {
    for (int e = 0; each != nullptr && e < p.experts; ++e) {
      key.push_back(each->at[e].data);
      key.push_back(each->at[e].scales);
    }
  }
  key.push_back(reinterpret_cast<const void*>(p.shape.rows));
  key.push_back(reinterpret_cast<const void*>(p.shape.cols));
  auto at = maps_.find(key);
  if (at == maps_.end()) {
    std::vector<GemmWeights> made;
    for (int e = 0; e < p.experts; ++e)
      made.push_back(second == nullptr ? single_weights(weights.at[e], p)
                                       : gated_weights(weights.at[e], second->at[e], p));
    const auto bytes = static_cast<int64_t>(made.size() * sizeof(GemmWeights));
    at = maps_.emplace(std::move(key), Buffer(bytes, options_.device)).first;
    copy_bytes(at->second.data(), options_.device, made.data(), Device{}, bytes);
  }
  return static_cast<const GemmWeights*>(at->second.data());
}

LinearParams Products::round_fp8(const LinearParams& p, Queue queue) {
  const int64_t code_bytes = round_up(p.rows * p.shape.cols);
  auto* codes = static_cast<char*>(
      workspace_.reserve(code_bytes + round_up(p.rows * static_cast<int64_t>(sizeof(float)))));
  auto* scales = reinterpret_cast<float*>(codes + code_bytes);
  if (!rows_are_shared_ || rounded_rows_ != p.x)
    launch_round_fp8({p.x, codes, scales, p.rows, p.shape.cols}, queue);
  rounded_rows_ = p.x;
  LinearParams rounded = p;
  rounded.x = codes;
  rounded.x_type = DType::kF8E4M3;
  rounded.x_scales = scales;
  return rounded;
}

void Products::run_grouped_gemm(const LinearParams& p, const ExpertWeights& weights,
                                const ExpertWeights* up, Queue queue) {
  GroupedGemmParams params = {.offsets = p.offsets,
                              .weights = gemm_weights(weights, up, p),
                              .x_scales = p.x_scales,
                              .gated = up != nullptr,
                              .silu = p.silu,
                              .out = p.out,
                              .counter = static_cast<int32_t*>(counter_.data()),
                              .out_type = p.out_type,
                              .rows = p.rows,
                              .experts = p.experts,
                              .n = static_cast<int>(p.shape.rows),
                              .k = static_cast<int>(p.shape.cols)};
  params.tile_rows = grouped_tile_rows(params, p.x_type, options_.multiprocessors);
  const RowMaps x = make_row_maps(p.x, p.x_type, p.rows, p.shape.cols);
  if (p.x_type == DType::kF8E4M3) {
    launch_grouped_gemm_fp8(params, x, options_.multiprocessors, queue);
  } else {
    launch_grouped_gemm(params, x, options_.multiprocessors, queue);
  }
}

void Products::run_decoded(const LinearParams& p, const ExpertWeights& weights,
                           const ExpertWeights* up, Queue queue) {
  const int64_t bytes = round_up(p.shape.rows * p.shape.cols * 2);
  const int matrices = up == nullptr ? 1 : 2;
  const auto together =
      static_cast<int>(std::clamp<int64_t>(kMostDecodedBytes / (bytes * matrices), 1, p.experts));
  auto* memory = static_cast<char*>(workspace_.reserve(bytes * matrices * together));
  for (int first = 0; first < p.experts; first += together) {
    LinearParams part = p;
    part.experts = std::min(together, p.experts - first);
    if (p.offsets != nullptr)
      part.offsets = p.offsets + first;
    part.shape.kind = WeightKind::kBf16;
    ExpertWeights decoded[2];
    char* to = memory;
    for (int m = 0; m < matrices; ++m) {
      for (int e = 0; e < part.experts; ++e, to += bytes) {
        const WeightRef& from = (m == 0 ? weights : *up).at[first + e];
        launch_decode_weights({from, p.shape, to}, queue);
        decoded[m].at[e] = {to, p.shape.kind == WeightKind::kInt8 ? from.scales : nullptr};
      }
    }
    run_grouped_gemm(part, decoded[0], up == nullptr ? nullptr : &decoded[1], queue);
  }
}

Products::Kernel Products::choose(const LinearParams& p, const ExpertWeights& weights) const {
  if (options_.plain)
    return Kernel::kPlain;
  if (fits_skinny_linear(p) && takes_few_rows(prefers_skinny_linear(p)))
    return Kernel::kSkinny;
  if (p.x_type == DType::kF8E4M3 || fits_grouped_gemm(p, weights)) {
    const bool dense = p.offsets == nullptr && p.x_type == DType::kBf16;
    return dense && blas_ != nullptr ? Kernel::kBlas : Kernel::kLarge;
  }
  if (takes_few_rows(prefers_narrow_linear(p)) && fits_narrow_linear(p, weights))
    return Kernel::kNarrow;
  if (fits_decoding(p, weights))
    return Kernel::kDecoded;
  return fits_few_outputs_linear(p, weights.at[0]) ? Kernel::kFewOutputs : Kernel::kPlain;
}

void Products::run(LinearParams p, const ExpertWeights& weights, Queue queue) {
  if (!options_.plain && fits_fp8(p, weights))
    p = round_fp8(p, queue);
  switch (choose(p, weights)) {
    case Kernel::kBlas:
      if (blas_->multiply(
              {p.x, weights.at[0].data, p.out, p.out_type, p.rows, p.shape.rows, p.shape.cols},
              queue))
        break;
      [[fallthrough]];
    case Kernel::kLarge:
      return run_grouped_gemm(p, weights, nullptr, queue);
    case Kernel::kDecoded:
      return run_decoded(p, weights, nullptr, queue);
    case Kernel::kSkinny:
      launch_skinny_linear(p, weights, queue);
      break;
    case Kernel::kNarrow:
      launch_narrow_linear(p, weights, queue);
      break;
    case Kernel::kFewOutputs:
      launch_few_outputs_linear(p, weights.at[0], queue);
      break;
    case Kernel::kPlain:
      launch_linear(p, weights, queue);
      break;
  }
  if (p.silu)
    launch_elementwise(ElementwiseOp::kSilu,
                       {p.out, nullptr, p.out, p.out_type, p.out_type, p.rows * p.shape.rows},
                       queue);
}

void Products::linear(const TensorView& x, const Projection& projection, Queue queue) {
  LinearParams params = params_of(x, projection.w, projection.out);
  params.silu = projection.silu;
  ExpertWeights weights;
  weights.at[0] = ref_of(projection.w);
  run(params, weights, queue);
}

void Products::grouped_linear(const TensorView& x, const TensorView& offsets,
                              std::span<const Weight> weights, const TensorView& out, Queue queue) {
  run(grouped_params(x, offsets, weights, out), refs_of(weights), queue);
}

bool Products::grouped_gated(const GatedArgs& args, Queue queue) {
  LinearParams p = grouped_params(args.x, args.offsets, args.gate, args.out);
  const ExpertWeights gate = refs_of(args.gate);
  const ExpertWeights up = refs_of(args.up);
  if (options_.plain || p.out_type != DType::kBf16 || !is_aligned(p, up) ||
      p.shape.rows % (2 * kGatedRows) != 0)
    return false;
  if (!takes_few_rows(prefers_narrow_linear(p)) && fits_decoding(p, gate)) {
    run_decoded(p, gate, &up, queue);
    return true;
  }
  const bool fp8 = fits_fp8(p, gate);
  if (takes_few_rows(prefers_skinny_linear(p)) || !(fp8 || fits_grouped_gemm(p, gate)))
    return false;
  if (fp8)
    p = round_fp8(p, queue);
  run_grouped_gemm(p, gate, &up, queue);
  return true;
}

}  // namespace mm::cuda
