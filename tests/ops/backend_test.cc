#include "ops/backend.h"

#include <gtest/gtest.h>

#include "ops/cpu/backend.h"
#include "ops/cpu/linear_isa.h"
#include "ops/reference/backend.h"
#include "tests/ops/cases.h"
#include "tests/ops/closeness.h"

namespace mm {
namespace {

using mm::testing::Bound;
using mm::testing::expect_close;
using mm::testing::op_cases;
using mm::testing::OpCase;

class OpCaseTest : public ::testing::TestWithParam<OpCase> {};

TEST_P(OpCaseTest, CpuAgreesWithReference) {
  const auto reference = make_reference_backend();
  const std::vector<Tensor> want = GetParam().run(*reference);
  ThreadPool pool(2);
  const auto backend = make_cpu_backend(pool);
  const std::vector<Tensor> got = GetParam().run(*backend);
  ASSERT_EQ(got.size(), want.size());
  Bound bound = GetParam().bound;
  if (cpu::selected_isa() == cpu::LinearIsa::kAvx512Bf16)
    bound.absolute += GetParam().cpu_rounding.absolute;
  for (size_t i = 0; i < got.size(); ++i) {
    SCOPED_TRACE("output " + std::to_string(i));
    expect_close(got[i], want[i], bound);
  }
}

TEST_P(OpCaseTest, CpuIgnoresThreads) {
  ThreadPool one(1);
  const std::vector<Tensor> want = GetParam().run(*make_cpu_backend(one));
  for (int threads : {2, 3}) {
    ThreadPool pool(threads);
    const std::vector<Tensor> got = GetParam().run(*make_cpu_backend(pool));
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_TRUE(mm::testing::same_bits(got[i], want[i])) << threads << " threads, output " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(All, OpCaseTest, ::testing::ValuesIn(op_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace mm
