// Products of the experts of one layer of the full model: 32 experts, two a token, 6144 → 9216
// twice and back, random routing; with weights in bf16 and in e4m3, whose rows of x are rounded
// within the time measured.
#include <fmt/format.h>

#include <random>

#include "bench/ops/cuda/device.h"
#include "ops/cuda/grouped_gemm_sm90.h"
#include "ops/cuda/round_fp8.h"
#include "ops/cuda/skinny_linear.h"

namespace mm::bench {
namespace {

constexpr int64_t kHidden = 6144;
constexpr int64_t kInner = 9216;
constexpr int kExperts = 32;
constexpr int64_t kMatrix = kHidden * kInner;

/// Offsets of rows of `tokens` tokens that choose two different experts each, uniformly.
std::vector<int32_t> random_offsets(int64_t tokens) {
  std::mt19937 random(7);
  std::vector<int32_t> counts(kExperts);
  for (int64_t t = 0; t < tokens; ++t) {
    const auto a = static_cast<size_t>(random() % kExperts);
    const auto b = (a + 1 + static_cast<size_t>(random() % (kExperts - 1))) % kExperts;
    ++counts[a];
    ++counts[b];
  }
  std::vector<int32_t> offsets = {0};
  for (int32_t count : counts) offsets.push_back(offsets.back() + count);
  return offsets;
}

/// The layer's weights: w1, w3 [F, D] and w2 [D, F] of every expert, and scales of e4m3 rows.
struct Weights {
  explicit Weights(DType dtype)
      : type(dtype),
        w1(dtype, kExperts * kMatrix, scale(), 1),
        w3(dtype, kExperts * kMatrix, scale(), 2),
        w2(dtype, kExperts * kMatrix, scale(), 3),
        scales(DType::kF32, kInner, 1e-4F, 4) {}

  /// Of the values: e4m3 fill their range as encoded weights do.
  float scale() const { return type == DType::kF8E4M3 ? 100.0F : 0.02F; }
  const void* expert(const DeviceArray& matrices, int e) const {
    return matrices.as<char>() + e * kMatrix * size_of(type);
  }
  cuda::WeightKind kind() const {
    return type == DType::kF8E4M3 ? cuda::WeightKind::kFp8 : cuda::WeightKind::kBf16;
  }
  std::string name() const { return type == DType::kF8E4M3 ? "experts fp8" : "experts bf16"; }

  DType type;
  DeviceArray w1, w3, w2;
  DeviceArray scales;
};

struct Step {
  Step(int64_t tokens, DType type)
      : host_offsets(random_offsets(tokens)),
        rows(2 * tokens),
        offsets(DType::kI32, host_offsets),
        x(DType::kBf16, rows * kHidden, 1, 4),
        hidden(DType::kBf16, rows * kInner, 1, 5),
        gate(DType::kBf16, rows * kInner),
        out(DType::kBf16, rows * kHidden),
        codes(DType::kF8E4M3, type == DType::kF8E4M3 ? rows * kInner : 1),
        scales(DType::kF32, rows) {}

  int64_t experts_hit() const {
    int64_t count = 0;
    for (size_t e = 0; e < kExperts; ++e) count += host_offsets[e + 1] > host_offsets[e];
    return count;
  }

  std::vector<int32_t> host_offsets;
  int64_t rows;
  DeviceArray offsets, x, hidden, gate, out;
  DeviceArray codes, scales;  ///< of rows rounded to e4m3
};

/// One of the layer's three products.
struct Product {
  const DeviceArray& weights;
  const DeviceArray& x;
  const DeviceArray& out;
  int64_t n, k;
};

std::vector<Product> products(const Weights& weights, const Step& step) {
  return {{weights.w1, step.x, step.gate, kInner, kHidden},
          {weights.w3, step.x, step.gate, kInner, kHidden},
          {weights.w2, step.hidden, step.out, kHidden, kInner}};
}

/// Rows of product `i` as its kernel reads them: for e4m3 rounded first, which is part of the work.
/// The first two products share theirs, as in the model.
const void* round_if_fp8(cudaStream_t stream, const Weights& weights, const Step& step,
                         const Product& product, size_t i) {
  if (weights.type != DType::kF8E4M3)
    return product.x.data();
  if (i != 1)
    cuda::launch_round_fp8(
        {product.x.data(), step.codes.data(), step.scales.as<float>(), step.rows, product.k},
        stream);
  return step.codes.data();
}

void bench_large(cudaStream_t stream, std::vector<Row>& rows, const Weights& weights,
                 int64_t tokens) {
  const Step step(tokens, weights.type);
  const bool fp8 = weights.type == DType::kF8E4M3;
  const DeviceArray counter(DType::kI32, 1);
  std::vector<CUtensorMap> x_maps;
  std::vector<DeviceArray> w_maps;
  const std::vector<Product> all = products(weights, step);
  for (const Product& product : all) {
    x_maps.push_back(cuda::make_matrix_map(fp8 ? step.codes.data() : product.x.data(), weights.type,
                                           step.rows, product.k, cuda::kRowBox));
    std::vector<CUtensorMap> maps;
    for (int e = 0; e < kExperts; ++e)
      maps.push_back(cuda::make_matrix_map(weights.expert(product.weights, e), weights.type,
                                           product.n, product.k, cuda::kWeightBox));
    w_maps.emplace_back(DType::kU8, static_cast<int64_t>(maps.size() * sizeof(CUtensorMap)));
    copy_bytes(w_maps.back().data(), cuda_device(), maps.data(), Device{}, w_maps.back().bytes());
  }
  const DeviceArray weight_scales(DType::kI64,
                                  std::vector<const void*>(kExperts, weights.scales.data()));
  const double time = seconds(stream, {20}, [&] {
    for (size_t i = 0; i < all.size(); ++i) {
      round_if_fp8(stream, weights, step, all[i], i);
      const cuda::GroupedGemmParams params = {.offsets = step.offsets.as<int32_t>(),
                                              .weights = w_maps[i].as<CUtensorMap>(),
                                              .weight_scales = weight_scales.as<const float*>(),
                                              .x_scales = step.scales.as<float>(),
                                              .out = all[i].out.data(),
                                              .counter = counter.as<int32_t>(),
                                              .out_type = DType::kBf16,
                                              .rows = step.rows,
                                              .experts = kExperts,
                                              .n = static_cast<int>(all[i].n),
                                              .k = static_cast<int>(all[i].k)};
      if (fp8)
        cuda::launch_grouped_gemm_fp8(params, x_maps[i], 132, stream);
      else
        cuda::launch_grouped_gemm(params, x_maps[i], 132, stream);
    }
  });
  const double flop = 2.0 * 3 * static_cast<double>(step.rows) * kMatrix;
  rows.push_back({weights.name(), fmt::format("{} tokens, 3 products", tokens), time, flop, false,
                  "ms", time * 1e3});
}

void bench_few(cudaStream_t stream, std::vector<Row>& rows, const Weights& weights,
               int64_t tokens) {
  const Step step(tokens, weights.type);
  const std::vector<Product> all = products(weights, step);
  const double time = seconds(stream, {20}, [&] {
    for (size_t i = 0; i < all.size(); ++i) {
      const Product& product = all[i];
      const void* x = round_if_fp8(stream, weights, step, product, i);
      cuda::ExpertWeights refs;
      for (int e = 0; e < kExperts; ++e)
        refs.at[e] = {weights.expert(product.weights, e), weights.scales.data()};
      cuda::launch_skinny_linear({.x = x,
                                  .out = product.out.data(),
                                  .x_type = weights.type,
                                  .out_type = DType::kBf16,
                                  .rows = step.rows,
                                  .offsets = step.offsets.as<int32_t>(),
                                  .experts = kExperts,
                                  .shape = {weights.kind(), 0, product.n, product.k},
                                  .x_scales = step.scales.as<float>()},
                                 refs, stream);
    }
  });
  const double bytes = 3.0 * static_cast<double>(size_of(weights.type)) *
                       static_cast<double>(step.experts_hit()) * kMatrix;
  rows.push_back({weights.name(), fmt::format("{} tokens, 3 products", tokens), time, bytes, true,
                  "us", time * 1e6});
}

}  // namespace

void bench_experts(cudaStream_t stream, std::vector<Row>& rows) {
  for (DType type : {DType::kBf16, DType::kF8E4M3}) {
    const Weights weights(type);
    for (int64_t tokens : {8192, 2048}) bench_large(stream, rows, weights, tokens);
    for (int64_t tokens : {1, 8, 64}) bench_few(stream, rows, weights, tokens);
  }
}

}  // namespace mm::bench
