// Attention over up to 2²⁰ tokens, in buffers of more than 2³¹ elements, against sums in double
// precision on the host for rows picked from the whole length. The inputs are made on the device.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/float_types.h"
#include "ops/cuda/backend.h"
#include "ops/cuda/ceiling_kernels.h"
#include "ops/cuda/check.h"
#include "tensor/buffer.h"

namespace mm {
namespace {

constexpr int64_t kSize = 128;
constexpr int64_t kHeads = 8;

/// Device memory of `count` elements: zeros, or reproducible values scale · normal.
class Array {
 public:
  Array(DType dtype, int64_t count, float scale = 0, uint64_t seed = 1)
      : buffer_(count * size_of(dtype), cuda_device()), dtype_(dtype) {
    if (scale != 0)
      cuda::launch_random_fill({buffer_.data(), dtype, count, scale, seed}, nullptr);
  }
  template <typename T>
  Array(DType dtype, const std::vector<T>& values)
      : Array(dtype, static_cast<int64_t>(values.size())) {
    copy_bytes(buffer_.data(), cuda_device(), values.data(), Device{}, buffer_.size());
  }

  TensorView view(std::initializer_list<int64_t> shape) const {
    TensorView view = TensorView::contiguous(buffer_.data(), dtype_, shape);
    view.device = cuda_device();
    return view;
  }
  /// `lines` times `width` elements, `pitch` elements apart, from element `first` on, on the host.
  template <typename T>
  std::vector<T> lines(int64_t first, int64_t pitch, int64_t width, int64_t lines) const {
    std::vector<T> values(static_cast<size_t>(lines * width));
    constexpr auto kEach = static_cast<int64_t>(sizeof(T));
    MM_CUDA(cudaMemcpy2D(values.data(), static_cast<size_t>(width * kEach),
                         static_cast<const T*>(buffer_.data()) + first,
                         static_cast<size_t>(pitch * kEach), static_cast<size_t>(width * kEach),
                         static_cast<size_t>(lines), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  Buffer buffer_;
  DType dtype_;
};

double number(uint16_t bits) {
  return double{to_float(BFloat16{bits})};
}
double number(float value) {
  return double{value};
}

double dot(const uint16_t* a, const uint16_t* b) {
  double sum = 0;
  for (int64_t i = 0; i < kSize; ++i) sum += number(a[i]) * number(b[i]);
  return sum;
}

/// 2⁻⁷ of the largest, as for all fast kernels (docs/numerics.md).
template <typename T>
void expect_near(const std::vector<T>& got, const std::vector<double>& want) {
  double largest = 0;
  for (const double value : want) largest = std::max(largest, std::abs(value));
  for (size_t i = 0; i < want.size(); ++i) {
    ASSERT_LE(std::abs(number(got[i]) - want[i]), 0x1p-7 * largest)
        << "channel " << i << ", got " << number(got[i]) << ", want " << want[i];
  }
}

class CudaLongTest : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
  }
};

// Rows are [head][q k v]: 2³¹ elements lie before token 699,051. A row sees what its slope has not
// forgotten: e⁻⁴⁵ of a row is nothing.
TEST_P(CudaLongTest, LightningPrefillAgreesWithSumsSlow) {
  const int64_t tokens = GetParam();
  constexpr int64_t kWidth = kHeads * 3 * kSize;
  const std::vector<float> slope_values = {0.9F, 0.3F, 0.1F, 0.05F, 0.04F, 0.03F, 0.02F, 0.01F};
  const Array qkv(DType::kBf16, tokens * kWidth, 0.5F);
  const Array slopes(DType::kF32, slope_values);
  const Array out(DType::kF32, tokens * kHeads * kSize);
  const Array states(DType::kF32, kHeads * kSize * kSize);
  const Array tail_k(DType::kBf16, kHeads * 64 * kSize);
  const Array tail_v(DType::kBf16, kHeads * 64 * kSize);
  const Array offsets(DType::kI32, std::vector<int32_t>{0, static_cast<int32_t>(tokens)});
  const Array zero(DType::kI32, 1);
  const auto part = [&](int64_t which) {
    TensorView view = qkv.view({tokens, kHeads, kSize});
    view.strides = {kWidth, 3 * kSize, 1};
    view.data = static_cast<uint16_t*>(view.data) + which * kSize;
    return view;
  };
  make_cuda_backend({})->lightning_attention({part(0),
                                              part(1),
                                              part(2),
                                              slopes.view({kHeads}),
                                              {offsets.view({2}), zero.view({1})},
                                              zero.view({1}),
                                              states.view({1, kHeads, kSize, kSize}),
                                              tail_k.view({1, kHeads, 64, kSize}),
                                              tail_v.view({1, kHeads, 64, kSize}),
                                              out.view({tokens, kHeads, kSize})});
  MM_CUDA(cudaDeviceSynchronize());
  for (const int64_t row : {int64_t{70}, tokens / 3, 2 * tokens / 3 + 1, tokens - 65, tokens - 1}) {
    for (int64_t head = 0; head < kHeads; ++head) {
      SCOPED_TRACE("row " + std::to_string(row) + " head " + std::to_string(head));
      const double slope = double{slope_values[static_cast<size_t>(head)]};
      const int64_t seen = std::min(row + 1, static_cast<int64_t>(45 / slope));
      const int64_t first = row + 1 - seen;
      const auto near =
          qkv.lines<uint16_t>(first * kWidth + head * 3 * kSize, kWidth, 3 * kSize, seen);
      const uint16_t* q = near.data() + (seen - 1) * 3 * kSize;
      std::vector<double> want(kSize, 0);
      for (int64_t j = 0; j < seen; ++j) {
        const uint16_t* k = near.data() + j * 3 * kSize + kSize;
        const double weight = dot(q, k) * std::exp(-slope * static_cast<double>(seen - 1 - j));
        for (size_t c = 0; c < want.size(); ++c) want[c] += weight * number(k[kSize + c]);
      }
      expect_near(out.lines<float>((row * kHeads + head) * kSize, kSize, kSize, 1), want);
    }
  }
}

/// One sequence of `keys` tokens in scattered pages of eight key/value heads: at 2²⁰ tokens 2³¹
/// elements. The last `rows` of them are queried, in rows `stride` elements apart.
class Softmax {
 public:
  Softmax(int64_t keys, int64_t rows, int64_t stride)
      : keys_(keys),
        rows_(rows),
        stride_(stride),
        table_values_(scattered((keys + 63) / 64)),
        q_(DType::kBf16, rows * stride, 3, 5),  // scores of deviation 3: a few keys matter most
        pages_(DType::kBf16, blocks() * kPage, 1, 6),
        out_(DType::kBf16, rows * kHeads * kSize),
        table_(DType::kI32, table_values_),
        offsets_(DType::kI32, std::vector<int32_t>{0, static_cast<int32_t>(rows)}),
        starts_(DType::kI32, std::vector<int32_t>{static_cast<int32_t>(keys - rows)}) {}

  void run(Backend& backend) const {
    TensorView q = q_.view({rows_, kHeads, kSize});
    q.strides = {stride_, kSize, 1};
    backend.softmax_attention(
        {q,
         {pages_.view({blocks(), kHeads, 2, 64, kSize}), table_.view({1, blocks()})},
         {offsets_.view({2}), starts_.view({1})},
         kScale,
         out_.view({rows_, kHeads, kSize})});
    MM_CUDA(cudaDeviceSynchronize());
  }

  /// Compares one head's outputs for some rows of the step.
  void check(int64_t head, const std::vector<int64_t>& picked) const {
    const auto pages = pages_.lines<uint16_t>(head * kPair, kPage, kPair, blocks());
    for (const int64_t row : picked) {
      SCOPED_TRACE("row " + std::to_string(row) + " of " + std::to_string(rows_) + " after " +
                   std::to_string(keys_ - rows_));
      const auto q = q_.lines<uint16_t>(row * stride_ + head * kSize, kSize, kSize, 1);
      std::vector<double> want(kSize, 0);
      double total = 0;
      for (int64_t key = 0; key <= keys_ - rows_ + row; ++key) {
        const uint16_t* k =
            pages.data() + table_values_[static_cast<size_t>(key / 64)] * kPair + key % 64 * kSize;
        const double weight = std::exp(double{kScale} * dot(q.data(), k));  // scores stay below 30
        total += weight;
        for (size_t c = 0; c < want.size(); ++c) want[c] += weight * number(k[64 * kSize + c]);
      }
      for (double& value : want) value /= total;
      expect_near(out_.lines<uint16_t>((row * kHeads + head) * kSize, kSize, kSize, 1), want);
    }
  }

 private:
  static constexpr int64_t kPair = 2 * 64 * kSize;  // keys and values of a head in a page
  static constexpr int64_t kPage = kHeads * kPair;
  static constexpr float kScale = 0.0883883F;

  // Every page once, neighbours far apart.
  static std::vector<int32_t> scattered(int64_t blocks) {
    int64_t step = 7919;
    while (std::gcd(step, blocks) != 1) ++step;
    std::vector<int32_t> table;
    for (int64_t i = 0; i < blocks; ++i) table.push_back(static_cast<int32_t>(i * step % blocks));
    return table;
  }
  int64_t blocks() const { return static_cast<int64_t>(table_values_.size()); }

  int64_t keys_, rows_, stride_;
  std::vector<int32_t> table_values_;
  Array q_, pages_, out_, table_, offsets_, starts_;
};

TEST_P(CudaLongTest, SoftmaxDecodeAgreesWithSumsSlow) {
  for (const bool deterministic : {false, true}) {
    const Softmax problem(GetParam(), 1, kHeads * kSize);
    problem.run(*make_cuda_backend({.deterministic = deterministic}));
    problem.check(deterministic ? 7 : 3, {0});
  }
}

// The last chunk of the sequence: what a step of a long prompt is.
TEST_P(CudaLongTest, SoftmaxPrefillOfTheLastChunkAgreesWithSumsSlow) {
  const Softmax problem(GetParam(), 4096 + 64, kHeads * kSize);
  problem.run(*make_cuda_backend({}));
  problem.check(7, {0, 4159});
}

// A whole prompt in one step, its rows so far apart that they pass 2³¹ elements.
TEST(CudaLongRows, SoftmaxPrefillOfManyRowsAgreesWithSumsSlow) {
  if (cuda_device_count() == 0)
    GTEST_SKIP() << "no CUDA device";
  constexpr int64_t kTokens = 262'144 + 64;
  const Softmax problem(kTokens, kTokens, 8448);
  problem.run(*make_cuda_backend({}));
  problem.check(5, {63, 100'000, kTokens - 1});
}

INSTANTIATE_TEST_SUITE_P(Tokens, CudaLongTest,
                         ::testing::Values(int64_t{262'144 + 64}, int64_t{1} << 20),
                         [](const auto& info) { return std::to_string(info.param); });

}  // namespace
}  // namespace mm
