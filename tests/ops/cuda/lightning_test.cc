// Lightning attention on the device: row by row against the reference, and beyond 2³¹ elements.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/cuda/backend.h"
#include "ops/cuda/check.h"
#include "ops/reference/backend.h"
#include "tests/ops/closeness.h"
#include "tests/ops/cuda/mirror_backend.h"

namespace mm {
namespace {

using mm::testing::AttentionShape;
using mm::testing::expect_close;
using mm::testing::LightningProblem;
using mm::testing::Span;

std::unique_ptr<Backend> make_mirror() {
  return std::make_unique<mm::testing::MirrorBackend>(make_cuda_backend({}), cuda_device());
}

class CudaLightningTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
  }
};

// Two sequences in one step, one of them across a block boundary at another time than the other.
TEST_F(CudaLightningTest, DecodingRowByRowAgreesWithReference) {
  for (DType type : {DType::kF32, DType::kBf16}) {
    const AttentionShape shape{2, 2, 128, type, type};
    LightningProblem got(shape, {150, 100});
    LightningProblem want(shape, {150, 100});
    const auto cuda = make_mirror();
    const auto reference = make_reference_backend();
    for (LightningProblem* problem : {&got, &want}) {
      Backend& backend = problem == &got ? *cuda : *reference;
      problem->run(backend, {{0, 50}}, {1});
      for (int64_t i = 0; i < 50; ++i) problem->run(backend, {{i, 1}, {50 + i, 1}}, {0, 1});
      for (int64_t i = 50; i < 150; ++i) problem->run(backend, {{i, 1}}, {0});
    }
    // The first rows of sequence 1 are prefilled, with bf16 operands.
    const double rounding = type == DType::kBf16 ? 0x1p-7 : 0;
    for (size_t n = 0; n < 2; ++n) expect_close(got.out(n), want.out(n), {1e-5 + rounding, 0});
    expect_close(got.states(), want.states(), {1e-5 + rounding, 0});
  }
}

// Several rows of one sequence and none of another: as many rows as sequences, yet no decode step.
TEST_F(CudaLightningTest, UnevenStepsAgreeWithReference) {
  const AttentionShape shape{2, 2, 128, DType::kBf16, DType::kBf16};
  LightningProblem got(shape, {80, 70});
  LightningProblem want(shape, {80, 70});
  const auto cuda = make_mirror();
  const auto reference = make_reference_backend();
  for (LightningProblem* problem : {&got, &want}) {
    Backend& backend = problem == &got ? *cuda : *reference;
    problem->run(backend, {{0, 62}, {0, 64}}, {0, 1});
    problem->run(backend, {{62, 2}, {64, 0}}, {0, 1});
    problem->run(backend, {{64, 2}, {64, 0}}, {0, 1});
    problem->run(backend, {{66, 14}, {64, 6}}, {0, 1});
  }
  for (size_t n = 0; n < 2; ++n) expect_close(got.out(n), want.out(n), {0x1p-7, 0});
  expect_close(got.states(), want.states(), {0x1p-7, 0});
}

/// Device memory of `count` elements.
class DeviceArray {
 public:
  DeviceArray(DType dtype, int64_t count)
      : buffer_(count * size_of(dtype), cuda_device()), dtype_(dtype) {}
  TensorView view(std::initializer_list<int64_t> shape) const {
    TensorView view = TensorView::contiguous(buffer_.data(), dtype_, shape);
    view.device = cuda_device();
    return view;
  }

 private:
  Buffer buffer_;
  DType dtype_;
};

uint16_t random_bits(uint32_t& state) {
  state = state * 1664525U + 1013904223U;
  const float value = static_cast<float>(state >> 8) * 0x1p-23F - 1.0F;
  return to_bfloat16(value).bits;
}

// Two heads of rows as wide as 64 heads: offsets pass 2³¹ elements after 87,381 tokens. Compares
// the fast kernels with the plain one, and the last rows of the fast head with the formula: its
// state forgets within 64 tokens.
TEST_F(CudaLightningTest, OffsetsPassTwoToTheThirtyOneSlow) {
  constexpr int64_t kTokens = 262'144 + 64;
  constexpr int64_t kWidth = 64 * 3 * 128;
  constexpr int64_t kUsed = 2 * 3 * 128;
  std::vector<uint16_t> host(static_cast<size_t>(kTokens * kUsed));
  uint32_t state = 1;
  for (uint16_t& bits : host) bits = random_bits(state);
  const DeviceArray qkv(DType::kBf16, kTokens * kWidth);
  MM_CUDA(cudaMemcpy2D(qkv.view({1}).data, kWidth * 2, host.data(), kUsed * 2, kUsed * 2, kTokens,
                       cudaMemcpyHostToDevice));
  const auto part = [&](int64_t which) {
    TensorView view = qkv.view({kTokens, 2, 128});
    view.strides = {kWidth, 3 * 128, 1};
    view.data = static_cast<uint16_t*>(view.data) + which * 128;
    return view;
  };
  const DeviceArray slopes(DType::kF32, 2), out_fast(DType::kF32, kTokens * 256),
      out_plain(DType::kF32, kTokens * 256), states(DType::kF32, 2 * 128 * 128),
      tail_k(DType::kBf16, 2 * 64 * 128), tail_v(DType::kBf16, 2 * 64 * 128),
      offsets(DType::kI32, 2), starts(DType::kI32, 1), slots(DType::kI32, 1);
  const float slope_values[] = {0.9F, 0.002F};
  copy_bytes(slopes.view({2}).data, cuda_device(), slope_values, {}, sizeof slope_values);
  const int32_t offset_values[] = {0, kTokens};
  copy_bytes(offsets.view({2}).data, cuda_device(), offset_values, {}, sizeof offset_values);
  const auto run = [&](bool plain, const DeviceArray& out) {
    MM_CUDA(cudaMemset(states.view({1}).data, 0, 2 * 128 * 128 * 4));
    CudaOptions options;
    options.plain = plain;
    make_cuda_backend(options)->lightning_attention({part(0),
                                                     part(1),
                                                     part(2),
                                                     slopes.view({2}),
                                                     {offsets.view({2}), starts.view({1})},
                                                     slots.view({1}),
                                                     states.view({1, 2, 128, 128}),
                                                     tail_k.view({1, 2, 64, 128}),
                                                     tail_v.view({1, 2, 64, 128}),
                                                     out.view({kTokens, 2, 128})});
    MM_CUDA(cudaDeviceSynchronize());
  };
  run(false, out_fast);
  run(true, out_plain);
  constexpr int64_t kLast = 512;
  Tensor fast(DType::kF32, {kLast, 256});
  Tensor plain(DType::kF32, {kLast, 256});
  copy(out_fast.view({kTokens, 256}).slice(kTokens - kLast, kTokens), fast);
  copy(out_plain.view({kTokens, 256}).slice(kTokens - kLast, kTokens), plain);
  expect_close(fast, plain, {0x1p-7, 0});

  const auto value = [&](int64_t t, int64_t which, int64_t c) {
    return double{to_float(BFloat16{host[static_cast<size_t>(t * kUsed + which * 128 + c)]})};
  };
  for (int64_t c = 0; c < 128; ++c) {
    double want = 0;
    for (int64_t j = kTokens - 100; j < kTokens; ++j) {
      double score = 0;
      for (int64_t i = 0; i < 128; ++i) score += value(kTokens - 1, 0, i) * value(j, 1, i);
      want += score * value(j, 2, c) * std::exp(-0.9 * static_cast<double>(kTokens - 1 - j));
    }
    EXPECT_NEAR(plain.ptr<float>()[(kLast - 1) * 256 + c], want, 1e-3) << c;
  }
}

}  // namespace
}  // namespace mm
