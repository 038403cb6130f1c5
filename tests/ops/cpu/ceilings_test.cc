#include "ops/cpu/ceilings.h"

#include <gtest/gtest.h>

namespace mm::cpu {
namespace {

TEST(CeilingsTest, SlowReadsAtAPlausibleRate) {
  ThreadPool pool(2);
  ReadCeiling reading(pool);
  EXPECT_GE(reading.bytes(), int64_t{64} << 20);
  const double rate = reading.measure();
  EXPECT_GT(rate, 0.1);
  EXPECT_LT(rate, 5000);
}

TEST(CeilingsTest, SlowMultipliesByBothLibraries) {
  ThreadPool pool(2);
  ProductCeiling product(pool);
  EXPECT_GT(product.measure_own(), 0.1);
  EXPECT_FALSE(product.onednn_status().empty());
  const std::optional<double> f32 = product.measure_onednn(DType::kF32);
  if (!f32)
    GTEST_SKIP() << product.onednn_status();
  EXPECT_GT(*f32, 0.1);
  // bf16 needs a processor that has it; without, there is a reason and no number.
  const std::optional<double> bf16 = product.measure_onednn(DType::kBf16);
  EXPECT_TRUE(bf16.has_value() || product.onednn_status().find("bf16") != std::string::npos);
}

}  // namespace
}  // namespace mm::cpu
