// Bit equality on the CPU: whole = chunked = step by step = batched, whatever the threads.
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "ops/cpu/backend.h"
#include "tests/ops/attention_fixtures.h"

namespace mm {
namespace {

using mm::testing::AttentionShape;
using mm::testing::LightningProblem;
using mm::testing::same_bits;
using mm::testing::SoftmaxProblem;
using mm::testing::Span;

// Cuts [0, length) at random places; long and short pieces are both likely.
std::vector<Span> random_chunks(mm::testing::Random& random, int64_t length) {
  std::vector<Span> chunks;
  for (int64_t at = 0; at < length;) {
    const int64_t limit = int64_t{1} << random.below(10);
    const int64_t count = std::min(length - at, 1 + random.below(limit));
    chunks.push_back({at, count});
    at += count;
  }
  return chunks;
}

std::vector<Span> single_rows(int64_t length) {
  std::vector<Span> chunks;
  for (int64_t at = 0; at < length; ++at) chunks.push_back({at, 1});
  return chunks;
}

struct Written {
  std::vector<Tensor> tensors;
};

Written snapshot(const LightningProblem& problem) {
  Written written;
  written.tensors.push_back(mm::testing::clone(problem.out()));
  written.tensors.push_back(mm::testing::clone(problem.states()));
  return written;
}

Written snapshot(const SoftmaxProblem& problem) {
  Written written;
  written.tensors.push_back(mm::testing::clone(problem.out()));
  written.tensors.push_back(mm::testing::clone(problem.pages()));
  if (!problem.scales().view().empty())
    written.tensors.push_back(mm::testing::clone(problem.scales()));
  return written;
}

void expect_same(const Written& a, const Written& b) {
  for (size_t i = 0; i < a.tensors.size(); ++i) EXPECT_TRUE(same_bits(a.tensors[i], b.tensors[i]));
}

template <typename Problem>
void expect_chunks_equal_whole(const AttentionShape& shape, int64_t length) {
  Problem problem(shape, {length});
  ThreadPool one(1);
  const auto single = make_cpu_backend(one);
  problem.run(*single, Span{0, length});
  const Written whole = snapshot(problem);
  mm::testing::Random random(static_cast<uint64_t>(length));
  for (int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    const auto backend = make_cpu_backend(pool);
    std::vector<std::vector<Span>> splits = {{{0, length}}};
    if (threads == 1)
      splits.push_back(single_rows(length));
    for (int i = 0; i < 4; ++i) splits.push_back(random_chunks(random, length));
    for (const std::vector<Span>& chunks : splits) {
      SCOPED_TRACE(std::to_string(threads) + " threads, " + std::to_string(chunks.size()) +
                   " chunks");
      problem.reset();
      for (const Span& chunk : chunks) problem.run(*backend, chunk);
      expect_same(snapshot(problem), whole);
    }
  }
}

TEST(EqualityTest, LightningChunksEqualWhole) {
  for (DType type : {DType::kF32, DType::kBf16}) {
    for (int64_t size : {12, 64, 128})
      expect_chunks_equal_whole<LightningProblem>({3, 3, size, type, type}, 333);
  }
  // f32 compute over a bf16 cache, as --kv-dtype allows.
  expect_chunks_equal_whole<LightningProblem>({2, 2, 32, DType::kF32, DType::kBf16}, 200);
}

TEST(EqualityTest, SoftmaxChunksEqualWhole) {
  for (DType type : {DType::kF32, DType::kBf16}) {
    expect_chunks_equal_whole<SoftmaxProblem>({6, 2, 12, type, type}, 700);
    expect_chunks_equal_whole<SoftmaxProblem>({4, 1, 64, type, type}, 700);
    expect_chunks_equal_whole<SoftmaxProblem>({2, 2, 128, type, type}, 1100);
  }
  expect_chunks_equal_whole<SoftmaxProblem>({16, 1, 32, DType::kF32, DType::kBf16}, 600);
  // As the model calls it in bf16; an odd size, which fills no pair of channels.
  for (int64_t size : {33, 128})
    expect_chunks_equal_whole<SoftmaxProblem>({4, 1, size, DType::kF32, DType::kBf16, DType::kBf16},
                                              600);
}

// Keys and values behind a query leave no trace in it, whatever they are; not even the next one,
// which shares a pair with its own last key in bf16 dot products.
TEST(EqualityTest, SoftmaxSeesNoLaterKey) {
  constexpr int64_t kLength = 140;
  for (DType type : {DType::kF32, DType::kBf16}) {
    const AttentionShape shape{4, 1, 32, DType::kF32, type, type};
    ThreadPool pool(2);
    const auto backend = make_cpu_backend(pool);
    SoftmaxProblem clean(shape, {kLength});
    clean.run(*backend, Span{0, kLength});
    for (int64_t first : {1, 2, 63, 64, 65, 128, 139}) {
      for (double value : {std::nan(""), HUGE_VAL, 0.0}) {
        SoftmaxProblem later(shape, {kLength});
        for (int64_t i = first * shape.size; i < kLength * shape.size; ++i) {
          mm::testing::put(later.k(), i, value);
          mm::testing::put(later.v(), i, value);
        }
        later.run(*backend, Span{0, kLength});
        EXPECT_TRUE(
            same_bits(later.out().view().slice(0, first), clean.out().view().slice(0, first)))
            << first << ", " << value;
      }
    }
  }
}

TEST(EqualityTest, SoftmaxOverCodesChunksEqualWhole) {
  for (DType cache : {DType::kI8, DType::kF8E4M3}) {
    expect_chunks_equal_whole<SoftmaxProblem>({6, 2, 12, DType::kF32, cache}, 700);
    expect_chunks_equal_whole<SoftmaxProblem>({4, 1, 64, DType::kBf16, cache}, 700);
    expect_chunks_equal_whole<SoftmaxProblem>({16, 1, 128, DType::kBf16, cache}, 600);
  }
}

// Sequences advance in random steps, some together; each must equal itself alone.
template <typename Problem>
void expect_batch_equals_alone(const AttentionShape& shape) {
  const bool holds = rc::check("a sequence does not see its neighbours", [&] {
    const auto seed = *rc::gen::inRange<uint64_t>(1, 1 << 20);
    const auto lengths =
        *rc::gen::container<std::vector<int64_t>>(3, rc::gen::inRange<int64_t>(1, 200));
    Problem together(shape, lengths, seed);
    Problem alone(shape, lengths, seed);
    ThreadPool pool(2);
    const auto backend = make_cpu_backend(pool);
    mm::testing::Random random(seed);
    std::vector<int64_t> done(lengths.size());
    for (bool left = true; left;) {
      std::vector<Span> spans;
      std::vector<int64_t> sequences;
      for (size_t n = 0; n < lengths.size(); ++n) {
        const int64_t rest = lengths[n] - done[n];
        if (rest == 0 || random.uniform() < 0.3)
          continue;
        spans.push_back({done[n], 1 + random.below(rest)});
        sequences.push_back(static_cast<int64_t>(n));
        done[n] += spans.back().count;
      }
      if (!spans.empty())
        together.run(*backend, spans, sequences);
      left = done != lengths;
    }
    for (size_t n = 0; n < lengths.size(); ++n) {
      alone.run(*backend, {{0, lengths[n]}}, {static_cast<int64_t>(n)});
      RC_ASSERT(same_bits(together.out(n), alone.out(n)));
    }
  });
  EXPECT_TRUE(holds);
}

TEST(EqualityTest, LightningSlotsAreIndependent) {
  expect_batch_equals_alone<LightningProblem>({2, 2, 64, DType::kF32, DType::kF32});
}

TEST(EqualityTest, SoftmaxSequencesAreIndependent) {
  for (DType cache : {DType::kBf16, DType::kI8, DType::kF8E4M3})
    expect_batch_equals_alone<SoftmaxProblem>({4, 2, 32, DType::kBf16, cache});
}

// Row-wise ops: a row alone gives the bits it gives among others.
TEST(EqualityTest, RowsAreIndependent) {
  mm::testing::Random random(1);
  ThreadPool pool(2);
  const auto backend = make_cpu_backend(pool);
  constexpr int64_t kRows = 300;
  constexpr int64_t kWidth = 77;
  const Tensor x = mm::testing::random_tensor(random, DType::kF32, {kRows, kWidth});
  const Tensor y = mm::testing::random_tensor(random, DType::kF32, {kRows, kWidth});
  const Tensor weight = mm::testing::random_tensor(random, DType::kF32, {kWidth});
  const auto check = [&](auto&& op) {
    const Tensor whole(DType::kF32, {kRows, kWidth});
    op(x.view(), y.view(), whole.view());
    for (int64_t t = 0; t < kRows; ++t) {
      const Tensor row(DType::kF32, {1, kWidth});
      op(x.view().slice(t, t + 1), y.view().slice(t, t + 1), row.view());
      ASSERT_TRUE(same_bits(row, whole.view().slice(t, t + 1))) << t;
    }
  };
  check([&](auto a, auto, auto out) { backend->rms_norm(a, weight, 1e-6f, out); });
  check([&](auto a, auto b, auto out) { backend->add_scaled(a, 2.5f, b, -1.5f, out); });
  check([&](auto a, auto b, auto out) { backend->silu_mul(a, b, out); });
  check([&](auto a, auto b, auto out) { backend->sigmoid_mul(a, b, out); });
}

// An element's value does not depend on where in a row it stands.
TEST(EqualityTest, ElementsAreIndependentOfTheirPlace) {
  mm::testing::Random random(2);
  ThreadPool pool(1);
  const auto backend = make_cpu_backend(pool);
  for (int64_t width = 1; width <= 40; ++width) {
    Tensor x(DType::kF32, {width});
    const double value = 10 * random.normal();
    for (int64_t i = 0; i < width; ++i) mm::testing::put(x, i, value);
    backend->silu(x);
    for (int64_t i = 1; i < width; ++i)
      ASSERT_EQ(x.ptr<float>()[i], x.ptr<float>()[0]) << value << ", " << width;
  }
}

}  // namespace
}  // namespace mm
