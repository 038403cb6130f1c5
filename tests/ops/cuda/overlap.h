/// Verbs with and without kernels that begin before the one before them has ended.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "ops/cuda/backend.h"
#include "tests/ops/cuda/late_inputs.h"
#include "tests/ops/cuda/mirror_backend.h"
#include "tests/ops/fixtures.h"

namespace mm::testing {

inline std::unique_ptr<Backend> in_order(CudaOptions options) {
  options.overlap = false;
  return std::make_unique<MirrorBackend>(make_cuda_backend(options), cuda_device());
}

inline std::unique_ptr<Backend> behind(LateInputs& late, CudaOptions options) {
  options.stream = late.stream();
  return std::make_unique<MirrorBackend>(
      make_cuda_backend(options), cuda_device(),
      [&late](std::span<const DeviceRange> memory, const std::function<void()>& verb) {
        late.run(memory, verb);
      });
}

inline void expect_same(const std::vector<Tensor>& got, const std::vector<Tensor>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const TensorView a = got[i];
    const TensorView b = want[i];
    ASSERT_EQ(a.bytes(), b.bytes());
    EXPECT_EQ(std::memcmp(a.data, b.data, static_cast<size_t>(a.bytes())), 0) << "output " << i;
  }
}

class OverlapTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
  }

  /// What `run` writes is the same bit for bit, with each verb behind a kernel that brings its
  /// tensors late, called and played, as in full order.
  static void expect_overlap_changes_nothing(
      const CudaOptions& options, const std::function<std::vector<Tensor>(Backend&)>& run) {
    const std::vector<Tensor> want = run(*in_order(options));
    for (const bool graph : {false, true}) {
      SCOPED_TRACE(graph ? "played" : "called");
      LateInputs late(graph);
      expect_same(run(*behind(late, options)), want);
    }
  }
};

}  // namespace mm::testing
