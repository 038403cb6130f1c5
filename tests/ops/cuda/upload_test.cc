// StagedUpload: every byte where it belongs, whatever the sizes, and errors to the caller.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/error.h"
#include "tensor/buffer.h"
#include "tensor/device.h"

namespace mm {
namespace {

class StagedUploadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0)
      GTEST_SKIP() << "no CUDA device";
  }
};

/// Words that differ everywhere, so that a stage in the wrong place shows.
std::vector<uint32_t> words(int64_t bytes, uint32_t seed) {
  std::vector<uint32_t> values(static_cast<size_t>(bytes + 3) / 4);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<uint32_t>(i) * 2'654'435'761U + seed;
  return values;
}

// Less than a thread's share, a stage and a byte more or less, and more than the whole ring; with a
// byte between them that must stay zero.
TEST_F(StagedUploadTest, BytesArriveInTheirPlaces) {
  constexpr int64_t kStage = int64_t{16} << 20;
  const std::vector<int64_t> sizes = {1,          255,    300'001,        kStage - 1,
                                      kStage + 1, kStage, 5 * kStage + 7, 64};
  int64_t total = 0;
  for (const int64_t size : sizes) total += size + 1;
  const Buffer to(total, cuda_device());
  std::vector<char> want(static_cast<size_t>(total), 0);
  StagedUpload upload(cuda_device());
  for (int round = 0; round < 2; ++round) {  // an upload goes on after finish()
    int64_t at = 0;
    for (const int64_t size : sizes) {
      std::vector<uint32_t> from = words(size, static_cast<uint32_t>(at + round));
      std::memcpy(want.data() + at, from.data(), static_cast<size_t>(size));
      upload.add(static_cast<char*>(to.data()) + at, from.data(), size);
      std::memset(from.data(), 0xee, static_cast<size_t>(size));  // it may change now
      at += size + 1;
    }
    upload.finish();
    std::vector<char> got(want.size());
    copy_bytes(got.data(), Device{}, to.data(), cuda_device(), total);
    EXPECT_TRUE(got == want) << "round " << round;
  }
}

TEST_F(StagedUploadTest, ErrorsComeToTheCaller) {
  StagedUpload upload(cuda_device());
  const std::vector<uint32_t> from = words(4096, 1);
  try {
    upload.add(nullptr, from.data(), 4096);
    upload.finish();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kDevice) << error.what();
  }
  cudaGetLastError();
  // The device still works.
  const Buffer place(4096, cuda_device());
  StagedUpload again(cuda_device());
  again.add(place.data(), from.data(), 4096);
  again.finish();
  std::vector<uint32_t> got(from.size());
  copy_bytes(got.data(), Device{}, place.data(), cuda_device(), 4096);
  EXPECT_EQ(got, from);
}

}  // namespace
}  // namespace mm
