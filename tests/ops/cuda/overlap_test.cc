// Kernels that begin before the one before them has ended: every verb, right behind a kernel that
// brings all its tensors late, has the bits that it has in full order.
#include "tests/ops/cuda/overlap.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/ops/cases.h"

namespace mm {
namespace {

using mm::testing::CarelessCopy;
using mm::testing::DeviceRange;
using mm::testing::kRelayWords;
using mm::testing::LateInputs;
using mm::testing::next_word;
using mm::testing::op_cases;
using mm::testing::OpCase;
using mm::testing::OverlapTest;
using mm::testing::Random;
using mm::testing::random_tensor;
using mm::testing::TooEarly;

class CudaOverlapTest : public OverlapTest {
 protected:
  /// Words of `out` after a careless copy of `in` [i + 2] behind the late kernel, which brings `in`
  /// and zeros for `out`.
  static std::vector<int> copy_carelessly(LateInputs& late, TooEarly what, bool overlap) {
    constexpr int kCount = 1000;
    constexpr int64_t kBytes = kCount * static_cast<int64_t>(sizeof(int));
    std::vector<int> words(kCount);
    for (int i = 0; i < kCount; ++i) words[static_cast<size_t>(i)] = i + 2;
    const Buffer in(kBytes, cuda_device());
    const Buffer out(kBytes, cuda_device());
    copy_bytes(in.data(), cuda_device(), words.data(), Device{}, kBytes);
    std::vector<DeviceRange> memory = {{in.data(), kBytes}};
    if (what == TooEarly::kWrite)
      memory.push_back({out.data(), kBytes});
    const CarelessCopy copy{static_cast<const int*>(in.data()), static_cast<int*>(out.data()),
                            kCount, what};
    late.run(memory, [&] { launch_careless_copy(copy, {late.stream(), overlap}); });
    copy_bytes(words.data(), Device{}, out.data(), cuda_device(), kBytes);
    return words;
  }
};

// The tests below see nothing unless kernels do overlap, and unless it shows.
TEST_F(CudaOverlapTest, AKernelThatDoesNotWaitIsSeen) {
  for (const bool graph : {false, true}) {
    SCOPED_TRACE(graph ? "played" : "called");
    LateInputs late(graph);
    for (const bool overlap : {false, true}) {
      EXPECT_EQ(copy_carelessly(late, TooEarly::kNothing, overlap)[700], 702);
      EXPECT_EQ(copy_carelessly(late, TooEarly::kRead, overlap)[700], overlap ? -1 : 702);
    }
  }
}

TEST_F(CudaOverlapTest, AKernelThatWritesTooEarlyIsSeen) {
  for (const bool graph : {false, true}) {
    SCOPED_TRACE(graph ? "played" : "called");
    LateInputs late(graph);
    EXPECT_EQ(copy_carelessly(late, TooEarly::kWrite, false)[700], 1);
    EXPECT_EQ(copy_carelessly(late, TooEarly::kWrite, true)[700], 0);
  }
}

// Two buffers that kernels write and read in turns. The third kernel has begun when the first reads
// what the third will read again: it must not find that in its first-level cache.
TEST_F(CudaOverlapTest, AKernelSeesWhatIsWrittenAfterItHasBegun) {
  constexpr int kSteps = 400;
  constexpr int64_t kBytes = kRelayWords * static_cast<int64_t>(sizeof(uint32_t));
  std::vector<uint32_t> want(kRelayWords);  // the first buffer is zeros
  for (int step = 0; step < kSteps; ++step) {
    const uint32_t sum = std::accumulate(want.begin(), want.end(), uint32_t{0});
    for (uint32_t i = 0; i < kRelayWords; ++i) want[i] = next_word(sum, i);
  }
  for (const bool graph : {false, true}) {
    SCOPED_TRACE(graph ? "played" : "called");
    LateInputs late(graph);
    const Buffer first(kBytes, cuda_device());
    const Buffer second(kBytes, cuda_device());
    uint32_t* in = static_cast<uint32_t*>(first.data());
    uint32_t* out = static_cast<uint32_t*>(second.data());
    late.run(std::vector<DeviceRange>{{in, kBytes}, {out, kBytes}}, [&] {
      for (int step = 0; step < kSteps / 2; ++step) {
        mm::testing::launch_relay(in, out, {late.stream(), true});
        mm::testing::launch_relay(out, in, {late.stream(), true});
      }
    });
    std::vector<uint32_t> got(kRelayWords);
    copy_bytes(got.data(), Device{}, in, cuda_device(), kBytes);
    EXPECT_TRUE(got == want);
  }
}

// A library's kernel in the middle: it begins when all before have ended.
TEST_F(CudaOverlapTest, KernelsOfALibraryMayStandBetween) {
  Random random(31);
  const Tensor matrix = random_tensor(random, DType::kBf16, {160, 96}, 0.2);
  const Weight w = Weight::dense(matrix);
  const Tensor x = random_tensor(random, DType::kBf16, {300, 96});
  const auto run = [&](Backend& backend) {
    std::vector<Tensor> out;
    out.emplace_back(DType::kBf16, std::initializer_list<int64_t>{300, 160});
    backend.project(x, std::vector<Projection>{{w, out.back(), true}});
    return out;
  };
  expect_overlap_changes_nothing({}, run);
}

class CudaOverlapCasesTest : public CudaOverlapTest,
                             public ::testing::WithParamInterface<OpCase> {};

TEST_P(CudaOverlapCasesTest, LateTensorsMakeNoDifference) {
  for (const bool plain : {false, true}) {
    SCOPED_TRACE(plain ? "plain" : "fast");
    expect_overlap_changes_nothing({.vendor_blas = false, .plain = plain}, GetParam().run);
  }
}

INSTANTIATE_TEST_SUITE_P(All, CudaOverlapCasesTest, ::testing::ValuesIn(op_cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace mm
