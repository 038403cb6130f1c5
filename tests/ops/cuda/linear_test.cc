// Products on the device against the reference: every weight format, ragged sizes, experts without
// rows.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "ops/cuda/backend.h"
#include "ops/reference/backend.h"
#include "ops/step_kind.h"
#include "tests/ops/closeness.h"
#include "tests/ops/cuda/mirror_backend.h"
#include "tests/ops/cuda/stored_weight.h"

namespace mm {
namespace {

using mm::testing::Bound;
using mm::testing::expect_close;
using mm::testing::Format;
using mm::testing::ints;
using mm::testing::kFormats;
using mm::testing::Random;
using mm::testing::random_tensor;
using mm::testing::Stored;

struct Size {
  int64_t rows, n, k;
};

/// Rows as products with fp8 weights take them (ops/cuda/round_fp8.h), in f32.
Tensor round_rows(const TensorView& x) {
  Tensor rounded(DType::kF32, {x.dim(0), x.dim(1)});
  for (int64_t t = 0; t < x.dim(0); ++t) {
    const auto* from = x.at(t).ptr<BFloat16>();
    float* to = rounded.view().at(t).ptr<float>();
    float most = 0;
    for (int64_t k = 0; k < x.dim(1); ++k) most = std::max(most, std::abs(to_float(from[k])));
    const float inverse = most > 0 ? 448.0F / most : 0.0F;
    for (int64_t k = 0; k < x.dim(1); ++k)
      to[k] = to_float(to_float8_e4m3(to_float(from[k]) * inverse)) * (most / 448.0F);
  }
  return rounded;
}

/// int4 weights as products of many bf16 rows take them (ops/cuda/decode_weights.h).
Tensor decode_int4(const Weight& w) {
  Tensor decoded(DType::kBf16, {w.rows, w.cols});
  const auto* words = w.data.ptr<int32_t>();
  auto* to = decoded.ptr<BFloat16>();
  for (int64_t i = 0; i < w.rows * w.cols; ++i) {
    const int64_t group = i / w.group_size;
    const float scale = w.scales.dtype == DType::kF32 ? w.scales.ptr<float>()[group]
                                                      : to_float(w.scales.ptr<BFloat16>()[group]);
    const int code =
        static_cast<int>(static_cast<uint32_t>(words[i / 8]) >> (4 * (i % 8)) & 15) - 8;
    to[i] = to_bfloat16(scale * static_cast<float>(code));
  }
  return decoded;
}

double largest(const TensorView& view) {
  double most = 0;
  for (double value : mm::testing::values(view)) most = std::max(most, std::abs(value));
  return most;
}

class CudaLinearTest : public ::testing::TestWithParam<Format> {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
    cuda_ = std::make_unique<mm::testing::MirrorBackend>(make_cuda_backend({}), cuda_device());
  }

  /// f32 sums over K of products of order 1: chains of K roundings, relative to the largest.
  static Bound bound(int64_t k, DType out) {
    return mm::testing::stored_as(out, {static_cast<double>(k) * mm::testing::kUlp, 0});
  }

  /// Products of bf16 rows with fp8 weights round the rows, and the tensor cores' sums of e4m3 keep
  /// terms to 2⁻¹³ of the largest: of K terms, at most K 2⁻¹³ max|x| max|w|.
  static bool rounds_rows(const Weight& w, DType in) {
    return w.format == QuantFormat::kFp8Channel && in == DType::kBf16 && w.rows % 8 == 0;
  }
  /// Products of more than 32 bf16 rows a matrix decode int4 weights to bf16 first.
  static bool decodes(const Weight& w, DType in, int64_t rows, int64_t matrices) {
    return w.format == QuantFormat::kInt4Group && in == DType::kBf16 && w.rows % 8 == 0 &&
           rows > 32 * matrices;
  }
  static Bound fp8_bound(const Weight& w, const TensorView& x, const TensorView& want, DType out) {
    const double terms = largest(x) * 448 * largest(w.scales);
    return mm::testing::stored_as(
        out, {static_cast<double>(w.cols) * 0x1p-13 * terms / largest(want), 0});
  }

  /// Products of `x` in steps of `kind`.
  static Tensor multiply_in(StepKind kind, const TensorView& x, const Weight& w, DType out) {
    auto backend = make_cuda_backend({.deterministic = true});
    dynamic_cast<StepAware&>(*backend).begin_step(kind);
    mm::testing::MirrorBackend mirror(std::move(backend), cuda_device());
    Tensor result(out, {x.dim(0), w.rows});
    mirror.linear(x, w, result);
    return result;
  }

  std::unique_ptr<Backend> cuda_;
  std::unique_ptr<Backend> reference_ = make_reference_backend();
};

// Every width of a tile of the large product, one tile and several, and every pass of the kernels
// for few rows: a row has the same bits beside any others.
TEST_P(CudaLinearTest, DeterministicRowsDoNotDependOnOthers) {
  Random random(12);
  constexpr int64_t kRows = 520;
  const Stored w(GetParam(), 264, 640, random);
  for (DType in : {DType::kF32, DType::kBf16}) {
    const Tensor x = random_tensor(random, in, {kRows, 640});
    for (const StepKind kind : {StepKind::kPrefill, StepKind::kDecode}) {
      const Tensor whole = multiply_in(kind, x, w.weight, DType::kF32);
      for (const int64_t count :
           {1,   2,   7,   8,   9,   17,  31,  33,  64,  65,  97,  129, 137, 145,
            153, 161, 169, 177, 185, 193, 201, 209, 217, 225, 233, 241, 249, 257}) {
        // Rows from the middle: other places in their tiles than in the whole.
        const int64_t first = 131;
        const Tensor part =
            multiply_in(kind, x.view().slice(first, first + count), w.weight, DType::kF32);
        const TensorView want = whole.view().slice(first, first + count);
        EXPECT_EQ(std::memcmp(part.view().data, want.data, static_cast<size_t>(want.bytes())), 0)
            << to_string(in) << " " << count
            << (kind == StepKind::kDecode ? " decode" : " prefill");
      }
    }
  }
}

TEST_P(CudaLinearTest, AgreesWithReference) {
  Random random(11);
  for (const Size& s : {Size{1, 8, 128}, Size{3, 72, 256}, Size{17, 200, 384}, Size{65, 130, 512},
                        Size{130, 264, 640}, Size{8, 1024, 1024}}) {
    const Stored w(GetParam(), s.n, s.k, random);
    for (DType in : {DType::kF32, DType::kBf16}) {
      for (DType out : {DType::kF32, DType::kBf16}) {
        SCOPED_TRACE(std::to_string(s.rows) + "x" + std::to_string(s.n) + "x" +
                     std::to_string(s.k) + " " + to_string(in) + " " + to_string(out));
        const Tensor x = random_tensor(random, in, {s.rows, s.k});
        const Tensor got(out, {s.rows, s.n});
        const Tensor want(out, {s.rows, s.n});
        cuda_->linear(x, w.weight, got);
        const bool rounds = rounds_rows(w.weight, in);
        const Tensor rounded = rounds ? round_rows(x) : Tensor();
        const bool decoded = decodes(w.weight, in, s.rows, 1);
        const Tensor matrix = decoded ? decode_int4(w.weight) : Tensor();
        reference_->linear(rounds ? rounded.view() : x.view(),
                           decoded ? Weight::dense(matrix) : w.weight, want);
        expect_close(got, want, rounds ? fp8_bound(w.weight, x, want, out) : bound(s.k, out));
      }
    }
  }
}

// The kernel for few f32 rows sums an output in one order, whoever shares the call.
TEST_P(CudaLinearTest, ARowDoesNotDependOnTheOthers) {
  Random random(13);
  constexpr int64_t kRows = 19;
  const Stored w(GetParam(), 72, 640, random);
  const Tensor x = random_tensor(random, DType::kF32, {kRows, 640});
  const Tensor together(DType::kF32, {kRows, 72});
  cuda_->linear(x, w.weight, together);
  for (int64_t row = 0; row < kRows; ++row) {
    const Tensor alone(DType::kF32, {1, 72});
    cuda_->linear(x.view().slice(row, row + 1), w.weight, alone);
    EXPECT_TRUE(std::equal(alone.ptr<float>(), alone.ptr<float>() + 72,
                           together.view().at(row).ptr<float>()))
        << "row " << row;
  }
}

TEST_P(CudaLinearTest, GroupsAgreeWithReference) {
  Random random(12);
  constexpr int64_t kExperts = 5;
  struct Case {
    std::vector<int32_t> offsets;
    int64_t n, k;
  };
  for (const Case& c :
       {Case{{0, 1, 1, 3, 3, 4}, 128, 256}, Case{{0, 0, 130, 131, 200, 200}, 264, 384},
        Case{{0, 9, 30, 31, 64, 70}, 512, 512}, Case{{0, 0, 0, 0, 0, 300}, 72, 128}}) {
    std::vector<Stored> stored;
    std::vector<Weight> weights;
    for (int64_t e = 0; e < kExperts; ++e) stored.emplace_back(GetParam(), c.n, c.k, random);
    std::vector<Tensor> matrices;
    std::vector<Weight> decoded;
    for (const Stored& w : stored) {
      weights.push_back(w.weight);
      const bool int4 = w.weight.format == QuantFormat::kInt4Group;
      matrices.push_back(int4 ? decode_int4(w.weight) : Tensor());
      decoded.push_back(int4 ? Weight::dense(matrices.back()) : w.weight);
    }
    const int64_t rows = c.offsets.back();
    for (DType in : {DType::kF32, DType::kBf16}) {
      for (DType out : {DType::kF32, DType::kBf16}) {
        SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(c.n) + "x" +
                     std::to_string(c.k) + " " + to_string(in) + " " + to_string(out));
        const Tensor x = random_tensor(random, in, {rows, c.k});
        const Tensor got(out, {rows, c.n});
        const Tensor want(out, {rows, c.n});
        cuda_->grouped_linear(x, ints(c.offsets), weights, got);
        const bool rounds = rounds_rows(weights[0], in);
        const Tensor rounded = rounds ? round_rows(x) : Tensor();
        reference_->grouped_linear(rounds ? rounded.view() : x.view(), ints(c.offsets),
                                   decodes(weights[0], in, rows, kExperts) ? decoded : weights,
                                   want);
        Bound allowed = bound(c.k, out);
        if (rounds) {
          allowed = {};
          for (const Weight& w : weights)
            allowed.absolute = std::max(allowed.absolute, fp8_bound(w, x, want, out).absolute);
          allowed.relative = fp8_bound(weights[0], x, want, out).relative;
        }
        expect_close(got, want, allowed);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, CudaLinearTest, ::testing::ValuesIn(kFormats),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace mm
