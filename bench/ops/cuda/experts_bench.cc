// Products of the experts of one layer of the full model: 32 experts, two a token, 6144 → 9216
// twice and back, random routing.
#include <fmt/format.h>

#include <random>

#include "bench/ops/cuda/device.h"
#include "ops/cuda/grouped_gemm_sm90.h"
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

/// The layer's weights: w1, w3 [F, D] and w2 [D, F] of every expert.
struct Weights {
  DeviceArray w1{DType::kBf16, kExperts* kMatrix, 0.02F, 1};
  DeviceArray w3{DType::kBf16, kExperts* kMatrix, 0.02F, 2};
  DeviceArray w2{DType::kBf16, kExperts* kMatrix, 0.02F, 3};
};

const uint16_t* expert(const DeviceArray& weights, int e) {
  return weights.as<uint16_t>() + e * kMatrix;
}

struct Step {
  explicit Step(int64_t tokens)
      : host_offsets(random_offsets(tokens)),
        rows(2 * tokens),
        offsets(DType::kI32, host_offsets),
        x(DType::kBf16, rows * kHidden, 1, 4),
        hidden(DType::kBf16, rows * kInner, 1, 5),
        gate(DType::kBf16, rows * kInner),
        out(DType::kBf16, rows * kHidden) {}

  int64_t experts_hit() const {
    int64_t count = 0;
    for (size_t e = 0; e < kExperts; ++e) count += host_offsets[e + 1] > host_offsets[e];
    return count;
  }

  std::vector<int32_t> host_offsets;
  int64_t rows;
  DeviceArray offsets, x, hidden, gate, out;
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

void bench_large(cudaStream_t stream, std::vector<Row>& rows, const Weights& weights,
                 int64_t tokens) {
  const Step step(tokens);
  const DeviceArray counter(DType::kI32, 1);
  std::vector<CUtensorMap> x_maps;
  std::vector<DeviceArray> w_maps;
  const std::vector<Product> all = products(weights, step);
  for (const Product& product : all) {
    x_maps.push_back(cuda::make_matrix_map(product.x.data(), step.rows, product.k, cuda::kRowBox));
    std::vector<CUtensorMap> maps;
    for (int e = 0; e < kExperts; ++e)
      maps.push_back(cuda::make_matrix_map(expert(product.weights, e), product.n, product.k,
                                           cuda::kWeightBox));
    w_maps.emplace_back(DType::kU8, static_cast<int64_t>(maps.size() * sizeof(CUtensorMap)));
    copy_bytes(w_maps.back().data(), cuda_device(), maps.data(), Device{}, w_maps.back().bytes());
  }
  const double time = seconds(stream, {20}, [&] {
    for (size_t i = 0; i < all.size(); ++i)
      cuda::launch_grouped_gemm({.offsets = step.offsets.as<int32_t>(),
                                 .weights = w_maps[i].as<CUtensorMap>(),
                                 .out = all[i].out.data(),
                                 .counter = counter.as<int32_t>(),
                                 .out_type = DType::kBf16,
                                 .rows = step.rows,
                                 .experts = kExperts,
                                 .n = static_cast<int>(all[i].n),
                                 .k = static_cast<int>(all[i].k)},
                                x_maps[i], 132, stream);
  });
  const double flop = 2.0 * 3 * static_cast<double>(step.rows) * kMatrix;
  rows.push_back({"experts bf16", fmt::format("{} tokens, 3 products", tokens), time, flop, false,
                  "ms", time * 1e3});
}

void bench_few(cudaStream_t stream, std::vector<Row>& rows, const Weights& weights,
               int64_t tokens) {
  const Step step(tokens);
  const std::vector<Product> all = products(weights, step);
  const double time = seconds(stream, {20}, [&] {
    for (const Product& product : all) {
      cuda::ExpertWeights refs;
      for (int e = 0; e < kExperts; ++e) refs.at[e] = {expert(product.weights, e), nullptr};
      cuda::launch_skinny_linear({.x = product.x.data(),
                                  .out = product.out.data(),
                                  .x_type = DType::kBf16,
                                  .out_type = DType::kBf16,
                                  .rows = step.rows,
                                  .offsets = step.offsets.as<int32_t>(),
                                  .experts = kExperts,
                                  .shape = {cuda::WeightKind::kBf16, 0, product.n, product.k}},
                                 refs, stream);
    }
  });
  const double bytes = 3.0 * 2 * static_cast<double>(step.experts_hit()) * kMatrix;
  rows.push_back({"experts bf16", fmt::format("{} tokens, 3 products", tokens), time, bytes, true,
                  "us", time * 1e6});
}

}  // namespace

void bench_experts(cudaStream_t stream, std::vector<Row>& rows) {
  const Weights weights;
  for (int64_t tokens : {8192, 2048}) bench_large(stream, rows, weights, tokens);
  for (int64_t tokens : {1, 8, 64}) bench_few(stream, rows, weights, tokens);
}

}  // namespace mm::bench
