// Verbs that stand for several others, on the device, against the reference's sequence or their own
// parts.
#include <gtest/gtest.h>

#include <cstring>

#include "ops/cuda/backend.h"
#include "ops/reference/backend.h"
#include "tests/ops/closeness.h"
#include "tests/ops/cuda/mirror_backend.h"

namespace mm {
namespace {

using mm::testing::Bound;
using mm::testing::expect_close;
using mm::testing::ints;
using mm::testing::kUlp;
using mm::testing::Random;
using mm::testing::random_tensor;
using mm::testing::stored_as;

class CudaFusedTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
    cuda_ = std::make_unique<mm::testing::MirrorBackend>(make_cuda_backend({}), cuda_device());
  }

  std::unique_ptr<Backend> cuda_;
  std::unique_ptr<Backend> reference_ = make_reference_backend();
};

/// Pairs of matrices [rows, cols] of experts in one block of memory, so that it is known which of a
/// pair lies first: the gate for even experts.
class GatedWeights {
 public:
  GatedWeights(DType type, int experts, int64_t rows, int64_t cols, Random& random)
      : data_(type == DType::kBf16 ? random_tensor(random, type, {2 * experts * rows, cols}, 0.1)
                                   : Tensor(type, {2 * experts * rows, cols})),
        scales_(random_tensor(random, DType::kF32, {2 * experts * rows, 1}, 0.001)) {
    if (type == DType::kF8E4M3) {
      auto* codes = static_cast<uint8_t*>(data_.view().data);
      for (int64_t i = 0; i < data_.view().bytes(); ++i) {
        codes[i] = static_cast<uint8_t>(random.below(256));
        if ((codes[i] & 0x7f) == 0x7f)
          codes[i] ^= 1;  // not a number
      }
    }
    for (int e = 0; e < 2 * experts; ++e) {
      Weight weight;
      weight.data = data_.view().slice(e * rows, (e + 1) * rows);
      if (type == DType::kF8E4M3) {
        weight.format = QuantFormat::kFp8Channel;
        weight.scales = scales_.view().slice(e * rows, (e + 1) * rows);
      }
      weight.rows = rows;
      weight.cols = cols;
      const bool is_gate = (e / 2 % 2 == 0) == (e % 2 == 0);
      (is_gate ? gate : up).push_back(weight);
    }
  }

 private:
  Tensor data_, scales_;

 public:
  std::vector<Weight> gate, up;
};

struct GatedSize {
  DType type;
  std::vector<int32_t> offsets;
  int64_t inner;
  int64_t hidden;
};

class CudaGatedTest : public CudaFusedTest, public ::testing::WithParamInterface<GatedSize> {};

// Against the two products and the gate of the same backend: what differs is the order of nothing,
// two approximations (2⁻²⁰) and the rounding of what is stored.
TEST_P(CudaGatedTest, FastGroupedGatedIsItsParts) {
  const auto& [type, bounds, inner, hidden] = GetParam();
  Random random(21);
  const auto experts = static_cast<int>(bounds.size()) - 1;
  const int64_t rows = bounds.back();
  const GatedWeights weights(type, experts, inner, hidden, random);
  const Tensor x = random_tensor(random, DType::kBf16, {rows, hidden});
  const Tensor offsets = ints(bounds);
  const Tensor gates(DType::kF32, {rows, inner});
  const Tensor ups(DType::kF32, {rows, inner});
  const Tensor want(DType::kF32, {rows, inner});
  cuda_->grouped_linear(x, offsets, weights.gate, gates);
  cuda_->grouped_linear(x, offsets, weights.up, ups);
  reference_->silu_mul(gates, ups, want);
  const Tensor got(DType::kBf16, {rows, inner});
  cuda_->grouped_gated({x, offsets, weights.gate, weights.up, gates, ups, got});
  expect_close(got, want, stored_as(DType::kBf16, {1e-6, 0x1p-19}));
}

// Many rows an expert, so that the product of one pass is chosen; tiles of every kind of width,
// outputs that do not fill the last tile, experts without rows. 200 outputs are no multiple of
// sixteen: two products, then the gate.
INSTANTIATE_TEST_SUITE_P(All, CudaGatedTest,
                         ::testing::Values(GatedSize{DType::kBf16, {0, 40, 40, 341, 900}, 192, 256},
                                           GatedSize{DType::kBf16, {0, 257, 300}, 208, 320},
                                           GatedSize{DType::kBf16, {0, 257, 300}, 200, 320},
                                           GatedSize{DType::kBf16, {0, 1, 2, 3, 3, 130}, 16, 64},
                                           GatedSize{
                                               DType::kF8E4M3, {0, 40, 40, 341, 900}, 192, 256},
                                           GatedSize{DType::kF8E4M3, {0, 200, 460}, 208, 128}));

TEST_F(CudaFusedTest, ProjectRoundsBeforeAndAfterSilu) {
  Random random(22);
  const Tensor matrix = random_tensor(random, DType::kBf16, {160, 96}, 0.2);
  const Weight w = Weight::dense(matrix);
  for (int64_t rows : {1, 3, 300}) {
    const Tensor x = random_tensor(random, DType::kBf16, {rows, 96});
    const Tensor want(DType::kF32, {rows, 160});
    reference_->project(x, std::vector<Projection>{{w, want, true}});
    const Tensor got(DType::kBf16, {rows, 160});
    cuda_->project(x, std::vector<Projection>{{w, got, true}});
    // silu has a slope of at most 1.1 and |x silu'(x) / silu(x)| of at most |x| + 1 for negative x:
    // the first rounding, 2⁻⁹ of x, stays below 2⁻⁸ of the largest output, which is about max|x|.
    expect_close(got, want, stored_as(DType::kBf16, {0x1p-8, 0}));
  }
}

TEST_F(CudaFusedTest, GatedNormIsRmsNormAndSigmoidMul) {
  Random random(23);
  for (int64_t width : {33, 500, 8192}) {
    for (DType in : {DType::kF32, DType::kBf16}) {
      const Tensor gate = random_tensor(random, in, {40, width}, 4);
      const Tensor weight = random_tensor(random, DType::kF32, {width});
      const Tensor x = random_tensor(random, in, {40, width}, 3);
      const Tensor exact(DType::kF32, {40, width});
      reference_->cast(x, exact);
      for (DType type : {DType::kF32, DType::kBf16}) {
        const Tensor got(type, {40, width});
        const Tensor want(type, {40, width});
        reference_->gated_norm(gate, mm::testing::clone(exact), weight, 1e-6F, want);
        cuda_->gated_norm(gate, mm::testing::clone(x), weight, 1e-6F, got);
        // rms_norm's bound (docs/numerics.md) and 8 u for the gate.
        const double relative = (24 + static_cast<double>(width) / 32) * kUlp;
        expect_close(got, want, stored_as(type, {0, relative}));
      }
    }
  }
}

struct Residual {
  DType branch;
  int64_t width;
  bool mixture;
};

class CudaResidualTest : public CudaFusedTest, public ::testing::WithParamInterface<Residual> {};

TEST_P(CudaResidualTest, AddResidualIsItsParts) {
  const auto& [branch_type, width, mixture] = GetParam();
  Random random(24);
  const Tensor residual = random_tensor(random, DType::kF32, {5, width});
  const Tensor rows = random_tensor(random, branch_type, {10, width});
  const Tensor exact(DType::kF32, {10, width});
  reference_->cast(rows, exact);
  const Tensor weight = random_tensor(random, DType::kF32, {width});
  const Tensor weights = random_tensor(random, DType::kF32, {5, 2});
  const Tensor choices = ints({9, 0, 1, 8, 7, 2, 3, 6, 5, 4});
  const TensorView positions = choices.view().reshape({5, 2});
  const auto run = [&](Backend& backend, const Tensor& source, bool keep, bool norm) {
    std::vector<Tensor> out;
    out.push_back(mm::testing::clone(residual));  // normed, in place as in a post-norm model
    out.emplace_back(DType::kF32, std::initializer_list<int64_t>{5, width});
    out.emplace_back(DType::kBf16, std::initializer_list<int64_t>{5, width});
    const Tensor mixed(source.view().dtype, {5, width});
    ResidualArgs args{.residual = out[0], .branch = {source.view().slice(0, 5)}, .alpha = 3.5F};
    if (mixture)
      args.branch = {source, positions, weights};
    args.mixed = mixed;
    if (keep)
      args.sum = out[1];
    if (norm) {
      args.weight = weight;
      args.eps = 1e-5F;
      args.normed = out[0];
      args.input = out[2];
    }
    backend.add_residual(args);
    return out;
  };
  for (const auto& [keep, norm] :
       {std::pair{true, true}, std::pair{true, false}, std::pair{false, true}}) {
    const std::vector<Tensor> want = run(*reference_, exact, keep, norm);
    const std::vector<Tensor> got = run(*cuda_, rows, keep, norm);
    // add_scaled and combine_rows are within 4 u and 2 u of the largest term, which the norm
    // divides by the root mean square: of random rows at least a fifth of the largest.
    const double relative = (24 + static_cast<double>(width) / 32) * kUlp;
    for (size_t i = 0; i < want.size(); ++i)
      expect_close(got[i], want[i], stored_as(want[i].view().dtype, {30 * kUlp, relative}));
  }
}

TEST_P(CudaResidualTest, AddResidualMakesSomeRowsOnly) {
  const auto& [branch_type, width, mixture] = GetParam();
  Random random(26);
  const Tensor residual = random_tensor(random, DType::kF32, {5, width});
  const Tensor rows = random_tensor(random, branch_type, {10, width});
  const Tensor weight = random_tensor(random, DType::kF32, {width});
  const Tensor weights = random_tensor(random, DType::kF32, {5, 2});
  const Tensor choices = ints({9, 0, 1, 8, 7, 2, 3, 6, 5, 4});
  const Tensor mixed(branch_type, {5, width});
  const Tensor all(DType::kF32, {5, width});
  const Tensor some(DType::kF32, {2, width});
  ResidualArgs args{.residual = residual,
                    .branch = {rows.view().slice(0, 5)},
                    .mixed = mixed,
                    .weight = weight,
                    .eps = 1e-5F,
                    .normed = all};
  if (mixture)
    args.branch = {rows, choices.view().reshape({5, 2}), weights};
  cuda_->add_residual(args);
  const Tensor only = ints({4, 1});
  args.only = only;
  args.normed = some;
  cuda_->add_residual(args);
  const auto bytes = static_cast<size_t>(width) * sizeof(float);
  for (const auto& [made, token] : {std::pair{0, 4}, std::pair{1, 1}})
    EXPECT_EQ(std::memcmp(some.view().at(made).data, all.view().at(token).data, bytes), 0);
}

INSTANTIATE_TEST_SUITE_P(All, CudaResidualTest,
                         ::testing::Values(Residual{DType::kF32, 48, false},
                                           Residual{DType::kF32, 33, true},
                                           Residual{DType::kBf16, 6144, true},
                                           Residual{DType::kBf16, 6144, false},
                                           Residual{DType::kBf16, 35, true}));

TEST_F(CudaFusedTest, FewOutputsAreAsGoodAsF32) {
  Random random(25);
  struct Size {
    int64_t rows, n, k;
  };
  for (const auto& [rows, n, k] :
       {Size{1000, 32, 6144}, Size{777, 5, 64}, Size{2048, 64, 16}, Size{700, 33, 80}}) {
    const Tensor x = random_tensor(random, DType::kF32, {rows, k});
    const Tensor matrix = random_tensor(random, DType::kF32, {n, k}, 0.1);
    const Tensor want(DType::kF32, {rows, n});
    const Tensor got(DType::kF32, {rows, n});
    reference_->linear(x, Weight::dense(matrix), want);
    cuda_->linear(x, Weight::dense(matrix), got);
    // As products in f32 (linear_test.cc): K roundings at worst, products are within 2⁻²².
    expect_close(got, want, {static_cast<double>(k + 4) * kUlp, 0});
  }
}

}  // namespace
}  // namespace mm
