// The cache of a device, read and filled through pinned staging.
#include "engine/host_cache.h"

#include "tests/engine/host_cache_cases.h"

namespace mm {
namespace {

class CudaHostCache : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
  }
};

TEST_F(CudaHostCache, PagesAreReadAsTheyWereFilled) {
  for (const DType kv : {DType::kBf16, DType::kI8}) {
    testing::check_pages(cuda_device(), kv);
  }
}

TEST_F(CudaHostCache, ManyPagesFindTheirPlaces) {
  testing::check_many_pages(cuda_device());
}

TEST_F(CudaHostCache, StatesAreFilledCopiedAndCleared) {
  testing::check_states(cuda_device());
}

TEST_F(CudaHostCache, AnErrorOfAFillerComesOut) {
  testing::check_errors(cuda_device());
}

}  // namespace
}  // namespace mm
