// Every shared op case on the device against the reference.
#include <gtest/gtest.h>

#include "ops/cuda/backend.h"
#include "ops/reference/backend.h"
#include "tests/ops/closeness.h"
#include "tests/ops/cuda/mirror_backend.h"

namespace mm {
namespace {

using mm::testing::Bound;
using mm::testing::expect_close;
using mm::testing::MirrorBackend;
using mm::testing::op_cases;
using mm::testing::OpCase;

std::unique_ptr<Backend> make_mirror(bool plain) {
  CudaOptions options;
  options.plain = plain;
  return std::make_unique<MirrorBackend>(make_cuda_backend(options), cuda_device());
}

class CudaParityTest : public ::testing::TestWithParam<OpCase> {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
  }

  static void compare(Backend& backend, Bound bound) {
    const auto reference = make_reference_backend();
    const std::vector<Tensor> want = GetParam().run(*reference);
    const std::vector<Tensor> got = GetParam().run(backend);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) {
      SCOPED_TRACE("output " + std::to_string(i));
      expect_close(got[i], want[i], bound);
    }
  }
};

TEST_P(CudaParityTest, PlainKernelsKeepTheBoundsOfTheCpu) {
  compare(*make_mirror(true), GetParam().bound);
}

TEST_P(CudaParityTest, FastKernelsKeepTheirBounds) {
  const Bound bound = GetParam().bound;
  const Bound rounding = GetParam().rounding;
  compare(*make_mirror(false),
          {bound.absolute + rounding.absolute, bound.relative + rounding.relative});
}

INSTANTIATE_TEST_SUITE_P(All, CudaParityTest, ::testing::ValuesIn(op_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace mm
