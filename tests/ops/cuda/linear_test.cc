// Products on the device against the reference: every weight format, ragged sizes, experts without
// rows.
#include <gtest/gtest.h>

#include <algorithm>

#include "ops/cuda/backend.h"
#include "ops/reference/backend.h"
#include "tests/ops/closeness.h"
#include "tests/ops/cuda/mirror_backend.h"

namespace mm {
namespace {

using mm::testing::Bound;
using mm::testing::expect_close;
using mm::testing::ints;
using mm::testing::Random;
using mm::testing::random_tensor;

struct Format {
  const char* name;
  QuantFormat format;
  DType data;
  DType scales;
  int group;
};

const Format kFormats[] = {{"f32", QuantFormat::kNone, DType::kF32, DType::kF32, 0},
                           {"bf16", QuantFormat::kNone, DType::kBf16, DType::kF32, 0},
                           {"int8", QuantFormat::kInt8Channel, DType::kI8, DType::kF32, 0},
                           {"int4_32", QuantFormat::kInt4Group, DType::kI32, DType::kBf16, 32},
                           {"int4_128", QuantFormat::kInt4Group, DType::kI32, DType::kF32, 128}};

/// A random weight and the tensors it borrows.
struct Stored {
  Tensor data;
  Tensor scales;
  Weight weight;

  Stored(const Format& format, int64_t rows, int64_t cols, Random& random) {
    if (format.format == QuantFormat::kNone) {
      data = random_tensor(random, format.data, {rows, cols}, 0.1);
      weight = Weight::dense(data);
      return;
    }
    const bool int8 = format.format == QuantFormat::kInt8Channel;
    data = Tensor(format.data, {rows, int8 ? cols : cols / 8});
    auto* bytes = static_cast<uint8_t*>(data.view().data);
    for (int64_t i = 0; i < data.view().bytes(); ++i)
      bytes[i] = static_cast<uint8_t>(random.below(256));
    scales = random_tensor(random, format.scales, {rows, int8 ? 1 : cols / format.group}, 0.01);
    weight.data = data;
    weight.scales = scales;
    weight.format = format.format;
    weight.group_size = format.group;
    weight.rows = rows;
    weight.cols = cols;
  }
};

struct Size {
  int64_t rows, n, k;
};

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

  std::unique_ptr<Backend> cuda_;
  std::unique_ptr<Backend> reference_ = make_reference_backend();
};

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
        reference_->linear(x, w.weight, want);
        expect_close(got, want, bound(s.k, out));
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
    for (const Stored& w : stored) weights.push_back(w.weight);
    const int64_t rows = c.offsets.back();
    for (DType in : {DType::kF32, DType::kBf16}) {
      for (DType out : {DType::kF32, DType::kBf16}) {
        SCOPED_TRACE(std::to_string(rows) + " rows, " + std::to_string(c.n) + "x" +
                     std::to_string(c.k) + " " + to_string(in) + " " + to_string(out));
        const Tensor x = random_tensor(random, in, {rows, c.k});
        const Tensor got(out, {rows, c.n});
        const Tensor want(out, {rows, c.n});
        cuda_->grouped_linear(x, ints(c.offsets), weights, got);
        reference_->grouped_linear(x, ints(c.offsets), weights, want);
        expect_close(got, want, bound(c.k, out));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, CudaLinearTest, ::testing::ValuesIn(kFormats),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace mm
