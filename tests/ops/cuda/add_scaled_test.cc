#include "ops/cuda/add_scaled.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "ops/cuda/check.h"

namespace mm::cuda {
namespace {

/// Device memory of n floats for the length of a test.
class DeviceFloats {
 public:
  explicit DeviceFloats(size_t n) : size_(n) {
    if (n > 0) {
      MM_CUDA(cudaMalloc(reinterpret_cast<void**>(&data_), n * sizeof(float)));
    }
  }
  explicit DeviceFloats(const std::vector<float>& values) : DeviceFloats(values.size()) {
    MM_CUDA(cudaMemcpy(data_, values.data(), size_ * sizeof(float), cudaMemcpyHostToDevice));
  }
  ~DeviceFloats() { cudaFree(data_); }
  DeviceFloats(const DeviceFloats&) = delete;
  DeviceFloats& operator=(const DeviceFloats&) = delete;

  float* data() const { return data_; }
  std::vector<float> to_host() const {
    std::vector<float> values(size_);
    MM_CUDA(cudaMemcpy(values.data(), data_, size_ * sizeof(float), cudaMemcpyDeviceToHost));
    return values;
  }

 private:
  float* data_ = nullptr;
  size_t size_ = 0;
};

int device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

TEST(AddScaledConfig, CoversEveryElementWithoutExceedingTheDevice) {
  EXPECT_EQ(config_add_scaled(0, 132).blocks, 0U);
  EXPECT_EQ(config_add_scaled(1, 132).blocks, 1U);
  EXPECT_EQ(config_add_scaled(256, 132).blocks, 1U);
  EXPECT_EQ(config_add_scaled(257, 132).blocks, 2U);
  EXPECT_EQ(config_add_scaled(int64_t{1} << 40, 132).blocks, 8U * 132U);
  EXPECT_THROW(config_add_scaled(-1, 132), Error);
  EXPECT_THROW(config_add_scaled(1, 0), Error);
}

TEST(CudaCheck, CarriesCudasTextAndThePlace) {
  EXPECT_NO_THROW(MM_CUDA(cudaSuccess));
  try {
    MM_CUDA(cudaErrorInvalidValue);
    FAIL() << "no exception";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDevice);
    EXPECT_THAT(error.what(), testing::HasSubstr("cudaErrorInvalidValue: invalid argument"));
    EXPECT_THAT(error.what(), testing::HasSubstr("add_scaled_test.cc"));
  }
}

TEST(AddScaled, EqualsThePlainLoopBitForBit) {
  if (device_count() == 0) {
    GTEST_SKIP() << "no CUDA device";
  }
  for (const int64_t count : {0, 1, 31, 256, 257, 100'003, 1'000'000}) {
    const auto n = static_cast<size_t>(count);
    std::vector<float> a(n);
    std::vector<float> b(n);
    std::vector<float> expected(n);
    const float alpha = 3.1F;
    const float beta = -0.7F;
    for (size_t i = 0; i < n; ++i) {
      a[i] = 0.37F * static_cast<float>(i % 1013) - 50.0F;
      b[i] = 1.9F / (1.0F + static_cast<float>(i % 97));
      expected[i] = alpha * a[i] + beta * b[i];
    }
    const DeviceFloats device_a(a);
    const DeviceFloats device_b(b);
    const DeviceFloats out(n);
    launch_add_scaled({.a = device_a.data(),
                       .b = device_b.data(),
                       .out = out.data(),
                       .count = count,
                       .alpha = alpha,
                       .beta = beta},
                      config_add_scaled(count, 2), nullptr);
    MM_CUDA(cudaDeviceSynchronize());
    EXPECT_EQ(out.to_host(), expected) << "count " << count;
  }
}

TEST(AddScaled, ABadGridIsADeviceError) {
  if (device_count() == 0) {
    GTEST_SKIP() << "no CUDA device";
  }
  const DeviceFloats x(std::vector<float>{1.0F});
  const AddScaledParams params{.a = x.data(), .b = x.data(), .out = x.data(), .count = 1};
  EXPECT_THROW(launch_add_scaled(params, {.blocks = 1, .threads = 1'000'000}, nullptr), Error);
}

}  // namespace
}  // namespace mm::cuda
