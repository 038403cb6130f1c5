// The experts of one layer of the full model: 32 experts, two a token, 6144 → 9216 gated and back,
// random routing; with weights in bf16 and in e4m3, whose rows of x are rounded within the time
// measured. The kernels are chosen as in a step.
#include <fmt/format.h>

#include <random>

#include "bench/ops/cuda/device.h"
#include "ops/cuda/products.h"

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
class Weights {
 public:
  explicit Weights(DType type)
      : type_(type),
        memory_{DeviceArray(type, kExperts * kMatrix, scale(), 1),
                DeviceArray(type, kExperts * kMatrix, scale(), 2),
                DeviceArray(type, kExperts * kMatrix, scale(), 3)},
        scales_(DType::kF32, kInner, 1e-4F, 4),
        w1(views(memory_[0], kInner, kHidden)),
        w3(views(memory_[1], kInner, kHidden)),
        w2(views(memory_[2], kHidden, kInner)) {}

  std::string name() const { return type_ == DType::kF8E4M3 ? "experts fp8" : "experts bf16"; }
  double expert_bytes() const { return 3.0 * static_cast<double>(size_of(type_)) * kMatrix; }

 private:
  /// Of the values: e4m3 fill their range as encoded weights do.
  float scale() const { return type_ == DType::kF8E4M3 ? 100.0F : 0.02F; }

  std::vector<Weight> views(const DeviceArray& matrices, int64_t rows, int64_t cols) const {
    std::vector<Weight> all;
    for (int e = 0; e < kExperts; ++e) {
      Weight w;
      w.rows = rows;
      w.cols = cols;
      w.data = TensorView::contiguous(matrices.as<char>() + e * kMatrix * size_of(type_), type_,
                                      {rows, cols});
      if (type_ == DType::kF8E4M3) {
        w.format = QuantFormat::kFp8Channel;
        w.scales = TensorView::contiguous(scales_.data(), DType::kF32, {rows, 1});
      }
      all.push_back(w);
    }
    return all;
  }

  DType type_;
  DeviceArray memory_[3];
  DeviceArray scales_;

 public:
  std::vector<Weight> w1, w3, w2;
};

/// Rows of one step on their way through the experts.
struct Step {
  explicit Step(int64_t tokens)
      : host_offsets(random_offsets(tokens)),
        rows(2 * tokens),
        offsets(DType::kI32, host_offsets),
        x(DType::kBf16, rows * kHidden, 1, 4),
        gate(DType::kF32, rows * kInner),
        up(DType::kF32, rows * kInner),
        hidden(DType::kBf16, rows * kInner, 1, 5),
        out(DType::kBf16, rows * kHidden) {}

  int64_t experts_hit() const {
    int64_t count = 0;
    for (size_t e = 0; e < kExperts; ++e) count += host_offsets[e + 1] > host_offsets[e];
    return count;
  }
  TensorView view(const DeviceArray& array, DType type, int64_t cols) const {
    return TensorView::contiguous(array.data(), type, {rows, cols});
  }

  std::vector<int32_t> host_offsets;
  int64_t rows;
  DeviceArray offsets, x, gate, up, hidden, out;
};

/// Seconds of the three products: one pass for gate and up where there is a kernel for it.
double run_step(cudaStream_t stream, const Weights& weights, const Step& step) {
  cuda::Workspace workspace(cuda_device());
  cuda::Products products({.device = cuda_device(), .multiprocessors = 132}, workspace);
  const TensorView offsets =
      TensorView::contiguous(step.offsets.data(), DType::kI32, {kExperts + 1});
  const TensorView hidden = step.view(step.hidden, DType::kBf16, kInner);
  const GatedArgs args{.x = step.view(step.x, DType::kBf16, kHidden),
                       .offsets = offsets,
                       .gate = weights.w1,
                       .up = weights.w3,
                       .gate_sums = step.view(step.gate, DType::kF32, kInner),
                       .up_sums = step.view(step.up, DType::kF32, kInner),
                       .out = hidden};
  return seconds(stream, {20}, [&] {
    if (!products.grouped_gated(args, stream)) {
      const cuda::Products::SharedRows shared(products);
      products.grouped_linear(args.x, offsets, args.gate, args.gate_sums, stream);
      products.grouped_linear(args.x, offsets, args.up, args.up_sums, stream);
    }
    products.grouped_linear(hidden, offsets, weights.w2, step.view(step.out, DType::kBf16, kHidden),
                            stream);
  });
}

void bench_large(cudaStream_t stream, std::vector<Row>& rows, const Weights& weights,
                 int64_t tokens) {
  const Step step(tokens);
  const double time = run_step(stream, weights, step);
  const double flop = 2.0 * 3 * static_cast<double>(step.rows) * kMatrix;
  rows.push_back({weights.name(), fmt::format("{} tokens, gated and back", tokens), time, flop,
                  false, "ms", time * 1e3});
}

void bench_few(cudaStream_t stream, std::vector<Row>& rows, const Weights& weights,
               int64_t tokens) {
  const Step step(tokens);
  const double time = run_step(stream, weights, step);
  const double bytes = weights.expert_bytes() * static_cast<double>(step.experts_hit());
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
