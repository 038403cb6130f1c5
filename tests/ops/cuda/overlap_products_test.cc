// As overlap_test.cc, for verbs that the shared list of cases has not: products with weights of
// every format by every kernel, and verbs that stand for several.
#include <gtest/gtest.h>

#include "tests/ops/cuda/overlap.h"
#include "tests/ops/cuda/stored_weight.h"

namespace mm {
namespace {

using mm::testing::clone;
using mm::testing::Format;
using mm::testing::ints;
using mm::testing::kFormats;
using mm::testing::OverlapTest;
using mm::testing::Random;
using mm::testing::random_tensor;
using mm::testing::Stored;

// cuBLASLt would take the place of kernels that are to be looked at.
constexpr CudaOptions kOwn{.vendor_blas = false};

class CudaOverlapProductsTest : public OverlapTest, public ::testing::WithParamInterface<Format> {};

// One row (a decoding step), a few, and so many that large products stand between: after SiLU, so
// that a kernel follows each.
TEST_P(CudaOverlapProductsTest, LateRowsMakeNoDifference) {
  Random random(41);
  const Stored first(GetParam(), 264, 640, random);
  const Stored second(GetParam(), 40, 640, random);
  for (const int64_t rows : {1, 3, 20, 300}) {
    for (const DType type : {DType::kF32, DType::kBf16}) {
      SCOPED_TRACE(std::to_string(rows) + " " + to_string(type));
      const Tensor x = random_tensor(random, type, {rows, 640});
      expect_overlap_changes_nothing(kOwn, [&](Backend& backend) {
        std::vector<Tensor> out;
        out.emplace_back(type, std::initializer_list<int64_t>{rows, 264});
        out.emplace_back(DType::kF32, std::initializer_list<int64_t>{rows, 40});
        backend.project(
            x, std::vector<Projection>{{first.weight, out[0], true}, {second.weight, out[1]}});
        return out;
      });
    }
  }
}

TEST_P(CudaOverlapProductsTest, LateRowsOfExpertsMakeNoDifference) {
  Random random(42);
  std::vector<Stored> stored;
  for (int i = 0; i < 10; ++i) stored.emplace_back(GetParam(), 136, 256, random);
  std::vector<Weight> gate;
  std::vector<Weight> up;
  for (size_t i = 0; i < stored.size(); ++i) (i % 2 == 0 ? gate : up).push_back(stored[i].weight);
  for (const std::vector<int32_t>& bounds : std::vector<std::vector<int32_t>>{
           {0, 0, 0, 1, 1, 2}, {0, 9, 30, 31, 64, 70}, {0, 0, 130, 131, 300, 300}}) {
    const int64_t rows = bounds.back();
    const Tensor offsets = ints(bounds);
    for (const DType type : {DType::kF32, DType::kBf16}) {
      SCOPED_TRACE(std::to_string(rows) + " " + to_string(type));
      const Tensor x = random_tensor(random, type, {rows, 256});
      expect_overlap_changes_nothing(kOwn, [&](Backend& backend) {
        std::vector<Tensor> out;
        out.emplace_back(DType::kF32, std::initializer_list<int64_t>{rows, 136});
        out.emplace_back(type, std::initializer_list<int64_t>{rows, 136});
        const Tensor gates(DType::kF32, {rows, 136});
        const Tensor ups(DType::kF32, {rows, 136});
        backend.grouped_linear(x, offsets, gate, out[0]);
        backend.grouped_gated({x, offsets, gate, up, gates, ups, out[1]});
        return out;
      });
    }
  }
}

TEST_P(CudaOverlapProductsTest, LateIdsMakeNoDifference) {
  Random random(43);
  const Stored table(GetParam(), 50, 256, random);
  const Tensor ids = ints({3, 49, 0, 17, 17, 1});
  expect_overlap_changes_nothing(kOwn, [&](Backend& backend) {
    std::vector<Tensor> out;
    out.emplace_back(DType::kF32, std::initializer_list<int64_t>{6, 256});
    backend.embed(ids, table.weight, out[0]);
    return out;
  });
}

INSTANTIATE_TEST_SUITE_P(Formats, CudaOverlapProductsTest, ::testing::ValuesIn(kFormats),
                         [](const auto& info) { return std::string(info.param.name); });

class CudaOverlapVerbsTest : public OverlapTest {};

// The kernel for few outputs of many f32 rows.
TEST_F(CudaOverlapVerbsTest, LateRouterRowsMakeNoDifference) {
  Random random(44);
  const Tensor x = random_tensor(random, DType::kF32, {300, 640});
  const Tensor matrix = random_tensor(random, DType::kF32, {33, 640}, 0.1);
  expect_overlap_changes_nothing(kOwn, [&](Backend& backend) {
    std::vector<Tensor> out;
    out.emplace_back(DType::kF32, std::initializer_list<int64_t>{300, 33});
    backend.linear(x, Weight::dense(matrix), out[0]);
    return out;
  });
}

TEST_F(CudaOverlapVerbsTest, LateGatesMakeNoDifference) {
  Random random(45);
  for (const int64_t width : {33, 512}) {
    for (const DType type : {DType::kF32, DType::kBf16}) {
      const Tensor gate = random_tensor(random, type, {7, width}, 4);
      const Tensor x = random_tensor(random, type, {7, width}, 3);
      const Tensor weight = random_tensor(random, DType::kF32, {width});
      expect_overlap_changes_nothing(kOwn, [&](Backend& backend) {
        std::vector<Tensor> out;
        out.emplace_back(type, std::initializer_list<int64_t>{7, width});
        backend.gated_norm(gate, clone(x), weight, 1e-6F, out[0]);  // may write x
        return out;
      });
    }
  }
}

TEST_F(CudaOverlapVerbsTest, LateBranchesMakeNoDifference) {
  Random random(46);
  const Tensor weights = random_tensor(random, DType::kF32, {5, 2});
  const Tensor choices = ints({9, 0, 1, 8, 7, 2, 3, 6, 5, 4});
  const Tensor only = ints({4, 1, 0, 2, 3});
  for (const int64_t width : {35, 6144}) {
    const Tensor residual = random_tensor(random, DType::kF32, {5, width});
    const Tensor rows = random_tensor(random, DType::kBf16, {10, width});
    const Tensor weight = random_tensor(random, DType::kF32, {width});
    for (const bool mixture : {false, true}) {
      expect_overlap_changes_nothing(kOwn, [&](Backend& backend) {
        std::vector<Tensor> out;
        out.push_back(clone(residual));
        out.emplace_back(DType::kF32, std::initializer_list<int64_t>{5, width});
        out.emplace_back(DType::kBf16, std::initializer_list<int64_t>{5, width});
        const Tensor mixed(DType::kBf16, {5, width});
        ResidualArgs args{.residual = mixture ? residual : out[0],
                          .branch = {rows.view().slice(0, 5)},
                          .alpha = 3.5F,
                          .mixed = mixed,
                          .sum = out[1],
                          .weight = weight,
                          .eps = 1e-5F,
                          .normed = out[0],
                          .input = out[2]};
        if (mixture) {
          args.branch = {rows, choices.view().reshape({5, 2}), weights};
          args.only = only;
        }
        backend.add_residual(args);
        return out;
      });
    }
  }
}

/// Tensors of a routed mixture of experts on the device, and the verbs from its input to its
/// output.
class Mixture {
 public:
  explicit Mixture(uint64_t seed) {
    Random random(seed);
    x_ = send(random_tensor(random, DType::kF32, {kRows, kWidth}));
    norm_ = send(random_tensor(random, DType::kF32, {kWidth}));
    router_ = send(random_tensor(random, DType::kF32, {kExperts, kWidth}, 0.1));
    for (int e = 0; e < kExperts; ++e)
      experts_.push_back(
          Weight::dense(send(random_tensor(random, DType::kF32, {kWidth, kWidth}, 0.1))));
    normed_ = make(DType::kF32, {kRows, kWidth});
    logits_ = make(DType::kF32, {kRows, kExperts});
    ids_ = make(DType::kI32, {kRows, 2});
    weights_ = make(DType::kF32, {kRows, 2});
    routes_ = {make(DType::kI32, {2 * kRows}), make(DType::kI32, {kRows, 2}),
               make(DType::kI32, {kExperts + 1})};
    routed_ = make(DType::kF32, {2 * kRows, kWidth});
    made_ = make(DType::kF32, {2 * kRows, kWidth});
    out_ = make(DType::kF32, {kRows, kWidth});
  }

  void run(Backend& backend) const {
    backend.rms_norm(x_, norm_, 1e-5F, normed_);
    backend.linear(normed_, Weight::dense(router_), logits_);
    backend.route_topk(logits_, ids_);
    backend.route_weights(logits_, ids_, weights_);
    backend.group_by_expert(ids_, kExperts, routes_);
    backend.gather_rows(normed_, routes_.order, routed_);
    backend.grouped_linear(routed_, routes_.offsets, experts_, made_);
    backend.silu(made_);
    backend.combine_rows(made_, routes_.positions, weights_, out_);
  }

  std::vector<mm::testing::DeviceRange> memory() const {
    std::vector<mm::testing::DeviceRange> memory;
    for (const Tensor& tensor : tensors_)
      memory.push_back({tensor.view().data, tensor.view().bytes()});
    return memory;
  }
  std::vector<float> out() const {
    std::vector<float> values(static_cast<size_t>(out_.numel()));
    copy_bytes(values.data(), Device{}, out_.data, cuda_device(), out_.bytes());
    return values;
  }

 private:
  static constexpr int64_t kRows = 3;
  static constexpr int64_t kWidth = 256;
  static constexpr int kExperts = 8;

  TensorView make(DType type, std::initializer_list<int64_t> shape) {
    tensors_.emplace_back(type, shape, cuda_device());
    return tensors_.back();
  }
  TensorView send(const Tensor& tensor) {
    const TensorView from = tensor;
    tensors_.push_back(from.rank == 1
                           ? Tensor(from.dtype, {from.dim(0)}, cuda_device())
                           : Tensor(from.dtype, {from.dim(0), from.dim(1)}, cuda_device()));
    const TensorView there = tensors_.back();
    copy_bytes(there.data, cuda_device(), from.data, Device{}, from.bytes());
    return there;
  }

  std::vector<Tensor> tensors_;
  std::vector<Weight> experts_;
  TensorView x_, norm_, router_, normed_, logits_, ids_, weights_, routed_, made_, out_;
  Routes routes_;
};

// A chain of kernels all of which have begun before the first has anything to read: each waits for
// all before it, not only for the one before.
TEST_F(CudaOverlapVerbsTest, AChainBehindALateKernelMakesNoDifference) {
  const Mixture serial(47);
  CudaOptions options = kOwn;
  options.overlap = false;
  serial.run(*make_cuda_backend(options));
  const std::vector<float> want = serial.out();
  for (const bool graph : {false, true}) {
    SCOPED_TRACE(graph ? "played" : "called");
    mm::testing::LateInputs late(graph);
    const Mixture mixture(47);
    options.overlap = true;
    options.stream = late.stream();
    const std::unique_ptr<Backend> backend = make_cuda_backend(options);
    late.run(mixture.memory(), [&] { mixture.run(*backend); });
    EXPECT_TRUE(mixture.out() == want);
  }
}

}  // namespace
}  // namespace mm
