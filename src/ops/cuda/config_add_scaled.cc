#include <algorithm>

#include "base/check.h"
#include "ops/cuda/add_scaled.h"

namespace mm::cuda {
namespace {

constexpr int64_t kThreads = 256;
// 8 blocks of 256 fill the 2048 threads that a multiprocessor of sm_90 holds.
constexpr int64_t kBlocksPerMultiprocessor = 8;

}  // namespace

AddScaledConfig config_add_scaled(int64_t count, int multiprocessors) {
  MM_CHECK(count >= 0, "count is {}", count);
  MM_CHECK(multiprocessors > 0, "multiprocessors is {}", multiprocessors);
  const int64_t wanted = (count + kThreads - 1) / kThreads;
  const int64_t blocks = std::min(wanted, kBlocksPerMultiprocessor * multiprocessors);
  return {static_cast<unsigned>(blocks), static_cast<unsigned>(kThreads)};
}

}  // namespace mm::cuda
