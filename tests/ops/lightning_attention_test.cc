// The block form against the plain recurrence S_t = λ S_{t-1} + v_t k_tᵀ, o_t = S_t q_t in double.
#include <gtest/gtest.h>

#include <cmath>

#include "ops/cpu/backend.h"
#include "ops/reference/backend.h"
#include "tests/ops/attention_fixtures.h"

namespace mm {
namespace {

using mm::testing::AttentionShape;
using mm::testing::LightningProblem;
using mm::testing::Span;

// Output [T, K] of one head by the recurrence.
std::vector<double> recurrence(const LightningProblem& problem, int64_t head) {
  const int64_t size = problem.shape().size;
  const int64_t rows = problem.qkv().view().dim(0);
  const double decay = std::exp(-double{problem.slopes().ptr<float>()[head]});
  std::vector<double> state(static_cast<size_t>(size * size));
  std::vector<double> out;
  for (int64_t t = 0; t < rows; ++t) {
    const int64_t row = (t * problem.shape().heads + head) * 3 * size;
    const auto q = [&](int64_t c) { return mm::testing::get(problem.qkv(), row + c); };
    for (int64_t v = 0; v < size; ++v) {
      double sum = 0;
      for (int64_t k = 0; k < size; ++k) {
        double& s = state[static_cast<size_t>(v * size + k)];
        s = decay * s + q(2 * size + v) * q(size + k);
        sum += s * q(k);
      }
      out.push_back(sum);
    }
  }
  return out;
}

// ‖got - want‖ / ‖want‖ of one head.
double relative_error(const LightningProblem& problem, int64_t head) {
  const std::vector<double> want = recurrence(problem, head);
  const int64_t size = problem.shape().size;
  double error = 0;
  double norm = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const auto t = static_cast<int64_t>(i) / size;
    const int64_t c = static_cast<int64_t>(i) % size;
    const double got =
        mm::testing::get(problem.out(), (t * problem.shape().heads + head) * size + c);
    error += (got - want[i]) * (got - want[i]);
    norm += want[i] * want[i];
  }
  return std::sqrt(error / norm);
}

class LightningTest : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Backend> make() {
    return GetParam() == std::string("cpu") ? make_cpu_backend(pool_) : make_reference_backend();
  }

 private:
  ThreadPool pool_{2};
};

TEST_P(LightningTest, BlockFormEqualsRecurrence) {
  const auto backend = make();
  for (int64_t rows : {1, 5, 255, 256, 257, 1000}) {
    LightningProblem problem({4, 4, 16, DType::kF32, DType::kF32}, {rows});
    problem.run(*backend, Span{0, rows});
    for (int64_t h = 0; h < 4; ++h) EXPECT_LT(relative_error(problem, h), 1e-5) << rows;
  }
}

TEST_P(LightningTest, RandomChunksEqualRecurrence) {
  const auto backend = make();
  mm::testing::Random random(3);
  LightningProblem problem({3, 3, 24, DType::kF32, DType::kF32}, {400});
  for (int64_t at = 0; at < 400;) {
    const int64_t count = std::min(400 - at, 1 + random.below(150));
    problem.run(*backend, Span{at, count});
    at += count;
  }
  for (int64_t h = 0; h < 3; ++h) EXPECT_LT(relative_error(problem, h), 1e-5);
}

// Every decay that an 80-layer model of 64 heads has in its first, middle and last lightning layer:
// from exp(-0.92), gone after two blocks, to exp(-5e-5), which remembers 20,000 tokens.
TEST_P(LightningTest, EverySlopeOfTheModel) {
  const auto backend = make();
  for (int layer : {0, 38, 78}) {
    LightningProblem problem({64, 64, 8, DType::kF32, DType::kF32}, {330});
    for (int64_t h = 0; h < 64; ++h) {
      const double factor = 1 - layer / 79.0 + 1e-5;
      problem.set_slope(h, static_cast<float>(std::exp2(-static_cast<double>(h + 1) / 8) * factor));
    }
    problem.run(*backend, Span{0, 330});
    for (int64_t h = 0; h < 64; ++h)
      EXPECT_LT(relative_error(problem, h), 1e-5) << layer << " " << h;
  }
}

// A decay near 1 over many blocks: errors must not build up.
TEST_P(LightningTest, SlowestHeadOverManyBlocks) {
  const auto backend = make();
  LightningProblem problem({1, 1, 8, DType::kF32, DType::kF32}, {20000});
  problem.set_slope(0, 4.9e-5f);
  problem.run(*backend, Span{0, 20000});
  EXPECT_LT(relative_error(problem, 0), 1e-5);
}

TEST_P(LightningTest, RoundsKeysAndValuesToTheTail) {
  const auto backend = make();
  LightningProblem stored({2, 2, 16, DType::kF32, DType::kBf16}, {130});
  stored.run(*backend, Span{0, 130});
  // Inputs that bf16 holds exactly must give the same through an f32 tail.
  LightningProblem exact({2, 2, 16, DType::kF32, DType::kF32}, {130});
  const TensorView qkv = exact.qkv();
  for (int64_t i = 0; i < qkv.numel(); ++i) {
    if (i % 48 >= 16)
      qkv.ptr<float>()[i] = to_float(to_bfloat16(qkv.ptr<float>()[i]));
  }
  exact.run(*backend, Span{0, 130});
  EXPECT_TRUE(mm::testing::same_bits(stored.out(), exact.out()));
  EXPECT_TRUE(mm::testing::same_bits(stored.states(), exact.states()));
}

INSTANTIATE_TEST_SUITE_P(Backends, LightningTest, ::testing::Values("reference", "cpu"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace mm
