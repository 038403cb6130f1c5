// What the verbs must do, checked against formulas written out here, on both backends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "ops/cpu/backend.h"
#include "ops/reference/backend.h"
#include "tests/ops/attention_fixtures.h"

namespace mm {
namespace {

using mm::testing::get;
using mm::testing::ints;
using mm::testing::random_tensor;
using ::testing::ElementsAre;

class VerbsTest : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<Backend> make() {
    return GetParam() == std::string("cpu") ? make_cpu_backend(pool_) : make_reference_backend();
  }

 private:
  ThreadPool pool_{2};
};

Tensor floats(std::initializer_list<int64_t> shape, const std::vector<float>& values) {
  Tensor tensor(DType::kF32, shape);
  std::copy(values.begin(), values.end(), tensor.ptr<float>());
  return tensor;
}

std::vector<int32_t> int_values(const Tensor& tensor) {
  const int32_t* first = tensor.ptr<int32_t>();
  return {first, first + tensor.view().numel()};
}

TEST_P(VerbsTest, LinearDecodesEveryFormat) {
  const auto backend = make();
  const Tensor x = floats({1, 32}, std::vector<float>(32, 1.0f));
  const Tensor out(DType::kF32, {1, 2});

  Tensor codes8(DType::kI8, {2, 32});
  for (int i = 0; i < 64; ++i) codes8.ptr<int8_t>()[i] = static_cast<int8_t>(i < 32 ? i : -i);
  const Tensor scales8 = floats({2, 1}, {0.5f, 0.25f});
  Weight int8;
  int8.data = codes8;
  int8.scales = scales8;
  int8.format = QuantFormat::kInt8Channel;
  int8.rows = 2;
  int8.cols = 32;
  backend->linear(x, int8, out);
  EXPECT_FLOAT_EQ(out.ptr<float>()[0], 0.5f * 496);
  EXPECT_FLOAT_EQ(out.ptr<float>()[1], -0.25f * (32 + 63) * 16);

  // Row 0: element k of a word holds code k - 8 + 8 = k, so each word sums to Σ (k - 8) = -36.
  Tensor words(DType::kI32, {2, 4});
  for (int i = 0; i < 8; ++i)
    words.ptr<int32_t>()[i] = static_cast<int32_t>(i < 4 ? 0x76543210u : 0xffffffffu);
  const Tensor scales4 = floats({2, 1}, {2.0f, 0.125f});
  Weight int4;
  int4.data = words;
  int4.scales = scales4;
  int4.format = QuantFormat::kInt4Group;
  int4.group_size = 32;
  int4.rows = 2;
  int4.cols = 32;
  backend->linear(x, int4, out);
  EXPECT_FLOAT_EQ(out.ptr<float>()[0], 2.0f * 4 * -36);
  EXPECT_FLOAT_EQ(out.ptr<float>()[1], 0.125f * 32 * 7);

  const Tensor embedded(DType::kF32, {2, 32});
  backend->embed(ints({1, 0}), int8, embedded);
  EXPECT_EQ(embedded.ptr<float>()[0], -8.0f);
  EXPECT_EQ(embedded.ptr<float>()[32 + 31], 15.5f);
}

TEST_P(VerbsTest, GroupedLinearUsesEachExpertForItsRows) {
  const auto backend = make();
  mm::testing::Random random(1);
  const Tensor w0 = random_tensor(random, DType::kBf16, {5, 16});
  const Tensor w1 = random_tensor(random, DType::kBf16, {5, 16});
  const Tensor w2 = random_tensor(random, DType::kBf16, {5, 16});
  const std::vector<Weight> weights = {Weight::dense(w0), Weight::dense(w1), Weight::dense(w2)};
  const Tensor x = random_tensor(random, DType::kF32, {7, 16});
  const Tensor out(DType::kF32, {7, 5});
  backend->grouped_linear(x, ints({0, 3, 3, 7}), weights, out);
  const Tensor first(DType::kF32, {3, 5});
  const Tensor last(DType::kF32, {4, 5});
  backend->linear(x.view().slice(0, 3), weights[0], first);
  backend->linear(x.view().slice(3, 7), weights[2], last);
  EXPECT_TRUE(mm::testing::same_bits(first, out.view().slice(0, 3)));
  EXPECT_TRUE(mm::testing::same_bits(last, out.view().slice(3, 7)));
}

// Verbs that stand for several others give the bits of these.
TEST_P(VerbsTest, ProjectIsLinearAndSilu) {
  const auto backend = make();
  mm::testing::Random random(11);
  const Tensor first = random_tensor(random, DType::kBf16, {300, 96});
  const Tensor second = random_tensor(random, DType::kBf16, {37, 96});
  const Weight weights[] = {Weight::dense(first), Weight::dense(second)};
  for (int64_t rows : {1, 3, 70, 200}) {
    const Tensor x = random_tensor(random, DType::kBf16, {rows, 96});
    for (const auto& [type, silu] :
         {std::pair{DType::kF32, false}, std::pair{DType::kF32, true},
          std::pair{DType::kBf16, false}, std::pair{DType::kBf16, true}}) {
      std::vector<Tensor> got, want;
      std::vector<Projection> projections;
      for (const Weight& w : weights) {
        got.emplace_back(type, std::initializer_list<int64_t>{rows, w.rows});
        want.emplace_back(type, std::initializer_list<int64_t>{rows, w.rows});
        projections.push_back({w, got.back(), silu});
        backend->linear(x, w, want.back());
        if (silu)
          backend->silu(want.back());
      }
      backend->project(x, projections);
      for (size_t i = 0; i < got.size(); ++i)
        EXPECT_TRUE(mm::testing::same_bits(got[i], want[i])) << rows << " rows, " << i;
    }
  }
}

TEST_P(VerbsTest, GroupedGatedIsTwoProductsAndSiluMul) {
  const auto backend = make();
  mm::testing::Random random(12);
  std::vector<Tensor> matrices;
  std::vector<Weight> gate, up;
  for (int e = 0; e < 8; ++e) {
    matrices.push_back(random_tensor(random, DType::kBf16, {90, 64}));
    (e % 2 == 0 ? gate : up).push_back(Weight::dense(matrices.back()));
  }
  for (const std::vector<int32_t>& bounds :
       {std::vector<int32_t>{0, 0, 1, 1, 2}, {0, 100, 100, 107, 300}, {0, 0, 0, 0, 5}}) {
    const int64_t rows = bounds.back();
    for (DType type : {DType::kF32, DType::kBf16}) {
      const Tensor x = random_tensor(random, type, {rows, 64});
      const Tensor gates(DType::kF32, {rows, 90});
      const Tensor ups(DType::kF32, {rows, 90});
      const Tensor want(type, {rows, 90});
      const Tensor got(type, {rows, 90});
      const Tensor offsets = ints(bounds);
      backend->grouped_linear(x, offsets, gate, gates);
      backend->grouped_linear(x, offsets, up, ups);
      backend->silu_mul(gates, ups, want);
      backend->grouped_gated({x, offsets, gate, up, gates, ups, got});
      EXPECT_TRUE(mm::testing::same_bits(got, want)) << rows << " rows";
    }
  }
}

TEST_P(VerbsTest, GatedNormIsRmsNormAndSigmoidMul) {
  const auto backend = make();
  mm::testing::Random random(13);
  for (int64_t width : {1, 16, 33, 500}) {
    const Tensor gate = random_tensor(random, DType::kF32, {40, width}, 4);
    const Tensor weight = random_tensor(random, DType::kF32, {width});
    const Tensor x = random_tensor(random, DType::kF32, {40, width}, 3);
    const Tensor normed(DType::kF32, {40, width});
    for (DType type : {DType::kF32, DType::kBf16}) {
      const Tensor got(type, {40, width});
      const Tensor want(type, {40, width});
      backend->rms_norm(x, weight, 1e-6F, normed);
      backend->sigmoid_mul(gate, normed, want);
      backend->gated_norm(gate, mm::testing::clone(x), weight, 1e-6F, got);
      EXPECT_TRUE(mm::testing::same_bits(got, want)) << width;
    }
  }
}

TEST_P(VerbsTest, AddResidualIsCombineAddScaledNormAndCast) {
  const auto backend = make();
  mm::testing::Random random(14);
  constexpr int64_t kWidth = 48;
  const Tensor residual = random_tensor(random, DType::kF32, {5, kWidth});
  const Tensor rows = random_tensor(random, DType::kF32, {10, kWidth});
  const Tensor weight = random_tensor(random, DType::kF32, {kWidth});
  const Tensor weights = random_tensor(random, DType::kF32, {5, 2});
  const Tensor choices = ints({9, 0, 1, 8, 7, 2, 3, 6, 5, 4});
  const TensorView positions = choices.view().reshape({5, 2});
  const Tensor mixed(DType::kF32, {5, kWidth});
  for (bool mixture : {false, true}) {
    Branch branch{.rows = rows.view().slice(0, 5)};
    const Tensor want_sum(DType::kF32, {5, kWidth});
    if (mixture) {
      branch = {rows, positions, weights};
      backend->combine_rows(rows, positions, weights, want_sum);
      backend->add_scaled(residual, 3, want_sum, 0.5F, want_sum);
    } else {
      backend->add_scaled(residual, 3, branch.rows, 0.5F, want_sum);
    }
    const Tensor want_normed(DType::kF32, {5, kWidth});
    const Tensor want_input(DType::kBf16, {5, kWidth});
    backend->rms_norm(want_sum, weight, 1e-5F, want_normed);
    backend->cast(want_normed, want_input);

    const Tensor sum(DType::kF32, {5, kWidth});
    const Tensor input(DType::kBf16, {5, kWidth});
    // The residual of a post-norm model is overwritten by the next one.
    for (bool keep : {false, true}) {
      const Tensor normed = mm::testing::clone(residual);
      ResidualArgs args{.residual = normed,
                        .branch = branch,
                        .alpha = 3,
                        .beta = 0.5F,
                        .mixed = mixed,
                        .weight = weight,
                        .eps = 1e-5F,
                        .normed = normed,
                        .input = input};
      if (keep)
        args.sum = sum;
      backend->add_residual(args);
      EXPECT_TRUE(mm::testing::same_bits(normed, want_normed));
      EXPECT_TRUE(mm::testing::same_bits(input, want_input));
      EXPECT_TRUE(!keep || mm::testing::same_bits(sum, want_sum));
    }
    const Tensor some(DType::kF32, {2, kWidth});
    backend->add_residual({.residual = residual,
                           .branch = branch,
                           .alpha = 3,
                           .beta = 0.5F,
                           .mixed = mixed,
                           .only = ints({4, 1}),
                           .weight = weight,
                           .eps = 1e-5F,
                           .normed = some});
    EXPECT_TRUE(mm::testing::same_bits(some.view().at(0), want_normed.view().at(4)));
    EXPECT_TRUE(mm::testing::same_bits(some.view().at(1), want_normed.view().at(1)));
    const Tensor x = mm::testing::clone(residual);
    backend->add_residual(
        {.residual = x, .branch = branch, .alpha = 3, .beta = 0.5F, .mixed = mixed, .sum = x});
    EXPECT_TRUE(mm::testing::same_bits(x, want_sum));
  }
}

TEST_P(VerbsTest, AddResidualWithoutABranchIsTheNorm) {
  const auto backend = make();
  mm::testing::Random random(15);
  const Tensor x = random_tensor(random, DType::kF32, {5, 48});
  const Tensor weight = random_tensor(random, DType::kF32, {48});
  const Tensor want(DType::kF32, {5, 48});
  const Tensor got(DType::kF32, {5, 48});
  backend->rms_norm(x, weight, 1e-5F, want);
  backend->add_residual({.residual = x, .weight = weight, .eps = 1e-5F, .normed = got});
  EXPECT_TRUE(mm::testing::same_bits(got, want));
}

TEST_P(VerbsTest, RmsNorm) {
  const auto backend = make();
  const Tensor x = floats({1, 4}, {1, -2, 3, -4});
  const Tensor w = floats({4}, {1, 1, 2, 0});
  backend->rms_norm(x, w, 0.5f, x);
  const double scale = 1 / std::sqrt(7.5 + 0.5);
  EXPECT_FLOAT_EQ(x.ptr<float>()[0], static_cast<float>(scale));
  EXPECT_FLOAT_EQ(x.ptr<float>()[1], static_cast<float>(-2 * scale));
  EXPECT_FLOAT_EQ(x.ptr<float>()[2], static_cast<float>(6 * scale));
  EXPECT_EQ(x.ptr<float>()[3], 0);
}

TEST_P(VerbsTest, SiluAtTheEdges) {
  const auto backend = make();
  const Tensor x = floats({5}, {0, 88, -88, 1000, -1000});
  backend->silu(x);
  EXPECT_EQ(x.ptr<float>()[0], 0);
  EXPECT_FLOAT_EQ(x.ptr<float>()[1], 88);
  EXPECT_NEAR(x.ptr<float>()[2], -88 * std::exp(-88.0), 1e-42);
  EXPECT_EQ(x.ptr<float>()[3], 1000);
  EXPECT_EQ(x.ptr<float>()[4], 0);
  const Tensor nan = floats({1}, {std::nanf("")});
  backend->silu(nan);
  EXPECT_TRUE(std::isnan(nan.ptr<float>()[0]));
}

// e^x through sigmoid: 1/σ(-x) - 1, where σ is near one half, and over the whole range.
TEST_P(VerbsTest, SigmoidIsAccurateEverywhere) {
  const auto backend = make();
  constexpr int64_t kCount = 20001;
  const Tensor x(DType::kF32, {kCount});
  const Tensor ones(DType::kF32, {kCount});
  const Tensor out(DType::kF32, {kCount});
  for (int64_t i = 0; i < kCount; ++i) {
    x.ptr<float>()[i] = static_cast<float>((static_cast<double>(i) - 10000) * 0.0087);
    ones.ptr<float>()[i] = 1;
  }
  backend->sigmoid_mul(x, ones, out);
  for (int64_t i = 0; i < kCount; ++i) {
    const double want = 1 / (1 + std::exp(-double{x.ptr<float>()[i]}));
    ASSERT_LE(std::abs(out.ptr<float>()[i] - want), 4 * 0x1p-24 * want) << x.ptr<float>()[i];
  }
}

TEST_P(VerbsTest, RopeTurnsPairsAndLeavesTheRest) {
  const auto backend = make();
  mm::testing::Random random(2);
  const Tensor positions = ints({0, 1, 4000000, 2147483647});
  const Tensor before = random_tensor(random, DType::kF32, {4, 2, 16});
  const Tensor after = mm::testing::clone(before);
  backend->rope({after, positions, 8, 1e7});
  for (int64_t t = 0; t < 4; ++t) {
    for (int64_t h = 0; h < 2; ++h) {
      const int64_t row = (t * 2 + h) * 16;
      for (int64_t i = 0; i < 4; ++i) {
        const double angle =
            positions.ptr<int32_t>()[t] * std::pow(1e7, -2.0 * static_cast<double>(i) / 8);
        const double a = get(before, row + i);
        const double b = get(before, row + i + 4);
        EXPECT_NEAR(get(after, row + i), a * std::cos(angle) - b * std::sin(angle), 1e-6);
        EXPECT_NEAR(get(after, row + i + 4), b * std::cos(angle) + a * std::sin(angle), 1e-6);
      }
      for (int64_t c = 8; c < 16; ++c) EXPECT_EQ(get(after, row + c), get(before, row + c));
    }
  }
  // Position 0 turns nothing.
  for (int64_t c = 0; c < 32; ++c) EXPECT_EQ(get(after, c), get(before, c));
}

TEST_P(VerbsTest, TopkTakesTheLowerIdOfEquals) {
  const auto backend = make();
  const float inf = HUGE_VALF;
  const float nan = std::nanf("");
  const Tensor logits = floats({4, 4}, {1, 3, 3, 2,        //
                                        -inf, -inf, 5, 5,  //
                                        nan, 1, nan, 2,    //
                                        nan, nan, nan, nan});
  const Tensor ids(DType::kI32, {4, 2});
  backend->route_topk(logits, ids);
  EXPECT_THAT(int_values(ids), ElementsAre(1, 2, 2, 3, 3, 1, 0, 1));
}

TEST_P(VerbsTest, WeightsOfTwoAreASigmoid) {
  const auto backend = make();
  mm::testing::Random random(3);
  const Tensor logits = random_tensor(random, DType::kF32, {50, 8}, 5);
  const Tensor ids(DType::kI32, {50, 2});
  const Tensor weights(DType::kF32, {50, 2});
  backend->route_topk(logits, ids);
  backend->route_weights(logits, ids, weights);
  for (int64_t t = 0; t < 50; ++t) {
    const double a = get(logits, t * 8 + ids.ptr<int32_t>()[2 * t]);
    const double b = get(logits, t * 8 + ids.ptr<int32_t>()[2 * t + 1]);
    EXPECT_NEAR(get(weights, 2 * t), 1 / (1 + std::exp(b - a)), 1e-6);
    EXPECT_NEAR(get(weights, 2 * t + 1), 1 / (1 + std::exp(a - b)), 1e-6);
  }
}

TEST_P(VerbsTest, GroupsByExpertInTokenOrder) {
  const auto backend = make();
  Tensor ids(DType::kI32, {3, 2});
  const std::vector<int32_t> chosen = {2, 0, 0, 3, 2, 3};
  std::copy(chosen.begin(), chosen.end(), ids.ptr<int32_t>());
  const Tensor order(DType::kI32, {6});
  const Tensor positions(DType::kI32, {3, 2});
  const Tensor offsets(DType::kI32, {5});
  backend->group_by_expert(ids, 4, {order, positions, offsets});
  EXPECT_THAT(int_values(order), ElementsAre(0, 1, 0, 2, 1, 2));
  EXPECT_THAT(int_values(positions), ElementsAre(2, 0, 1, 4, 3, 5));
  EXPECT_THAT(int_values(offsets), ElementsAre(0, 2, 2, 4, 6));
}

TEST_P(VerbsTest, GroupsNoTokens) {
  const auto backend = make();
  const Tensor ids(DType::kI32, {0, 2});
  const Tensor order(DType::kI32, {0});
  const Tensor offsets = ints({9, 9, 9});
  backend->group_by_expert(ids, 2, {order, ids, offsets});
  EXPECT_THAT(int_values(offsets), ElementsAre(0, 0, 0));
}

TEST_P(VerbsTest, SoftmaxAttentionAveragesEqualScores) {
  const auto backend = make();
  mm::testing::SoftmaxProblem problem({2, 1, 16, DType::kF32, DType::kF32}, {70});
  for (int64_t i = 0; i < problem.q().view().numel(); ++i) mm::testing::put(problem.q(), i, 0);
  problem.run(*backend, mm::testing::Span{0, 70});
  std::vector<double> sum(16);
  for (int64_t t = 0; t < 70; ++t) {
    for (int64_t c = 0; c < 16; ++c) {
      sum[static_cast<size_t>(c)] += get(problem.v(), t * 16 + c);
      const double mean = sum[static_cast<size_t>(c)] / static_cast<double>(t + 1);
      for (int64_t h = 0; h < 2; ++h)
        EXPECT_NEAR(get(problem.out(), (t * 2 + h) * 16 + c), mean, 2e-6);
    }
  }
}

// Scores far apart: the largest key takes all, nothing overflows, in any page or segment.
TEST_P(VerbsTest, SoftmaxAttentionSurvivesHugeScores) {
  const auto backend = make();
  mm::testing::SoftmaxProblem problem({1, 1, 16, DType::kF32, DType::kF32}, {1100});
  for (int64_t winner : {0, 63, 64, 700, 1099}) {
    for (int64_t i = 0; i < problem.k().view().numel(); ++i)
      mm::testing::put(problem.k(), i, i / 16 == winner ? 3e4 : -3e4);
    for (int64_t i = 0; i < problem.q().view().numel(); ++i) mm::testing::put(problem.q(), i, 100);
    problem.reset();
    problem.run(*backend, mm::testing::Span{0, 1100});
    for (int64_t c = 0; c < 16; ++c)
      EXPECT_EQ(get(problem.out(), 1099 * 16 + c), get(problem.v(), winner * 16 + c)) << winner;
  }
}

TEST_P(VerbsTest, StoreKvWritesOnlyItsRows) {
  const auto backend = make();
  mm::testing::SoftmaxProblem problem({2, 2, 16, DType::kF32, DType::kBf16}, {65});
  problem.run(*backend, mm::testing::Span{0, 65});
  int64_t written = 0;
  for (int64_t i = 0; i < problem.pages().view().numel(); ++i)
    written += std::isnan(get(problem.pages(), i)) ? 0 : 1;
  EXPECT_EQ(written, 65 * 2 * 2 * 16);
  // Position 64 is row 0 of the sequence's second page, which the table calls page 1.
  const int64_t page = problem.pages().view().stride(0);
  EXPECT_EQ(get(problem.pages(), page), to_float(to_bfloat16(problem.k().ptr<float>()[64 * 32])));
}

// Half a step of the codes: of int8 half a scale, of e4m3 2⁻⁴ of the value or half the least code.
TEST_P(VerbsTest, CodesOfKeysAndValuesAreTheNearest) {
  const auto backend = make();
  for (const DType cache : {DType::kI8, DType::kF8E4M3}) {
    mm::testing::SoftmaxProblem problem({2, 2, 128, DType::kF32, cache}, {64});
    problem.run(*backend, mm::testing::Span{0, 64});
    const bool is_int8 = cache == DType::kI8;
    const TensorView pages = problem.pages().view().at(1);  // G 2 64 K
    for (int64_t row = 0; row < 2 * 2 * 64; ++row) {
      const double scale = get(problem.scales(), 2 * 2 * 64 + row);
      const int64_t head = row / 128;
      const Tensor& from = row / 64 % 2 == 0 ? problem.k() : problem.v();
      for (int64_t c = 0; c < 128; ++c) {
        const double value = get(from, (row % 64 * 2 + head) * 128 + c);
        const double half =
            is_int8 ? 0.5 * scale : std::max(0x1p-4 * std::abs(value), 0x1p-10 * scale);
        EXPECT_LE(std::abs(get(pages, row * 128 + c) * scale - value), half * (1 + 1e-6));
      }
    }
  }
}

TEST_P(VerbsTest, ARowThatIsNotFiniteReadsAsNan) {
  const auto backend = make();
  for (const DType cache : {DType::kI8, DType::kF8E4M3}) {
    for (const float bad : {INFINITY, -INFINITY, NAN}) {
      mm::testing::SoftmaxProblem problem({1, 1, 20, DType::kF32, cache}, {3});
      mm::testing::put(problem.v(), 1 * 20 + 17, bad);
      problem.run(*backend, mm::testing::Span{0, 3});
      for (int64_t c = 0; c < 20; ++c) {
        EXPECT_FALSE(std::isnan(get(problem.out(), c)));
        EXPECT_TRUE(std::isnan(get(problem.out(), 20 + c))) << bad;
        EXPECT_TRUE(std::isnan(get(problem.out(), 40 + c))) << bad;
      }
    }
  }
}

// Offsets past 2³¹ elements. The memory is reserved, not touched.
TEST_P(VerbsTest, OffsetsPassTwoToThe31) {
  const auto backend = make();
  constexpr int64_t kRows = 600000;
  constexpr int64_t kWidth = 4096;
  const Tensor table(DType::kBf16, {kRows, kWidth});
  for (int64_t c = 0; c < kWidth; ++c)
    mm::testing::put(table, (kRows - 1) * kWidth + c, static_cast<double>(c % 100));
  const Tensor last = ints({kRows - 1});
  const Tensor row(DType::kF32, {1, kWidth});
  backend->embed(last, Weight::dense(table), row);
  EXPECT_EQ(row.ptr<float>()[kWidth - 1], (kWidth - 1) % 100);
  const Tensor gathered(DType::kBf16, {1, kWidth});
  backend->gather_rows(table, last, gathered);
  EXPECT_EQ(get(gathered, kWidth - 1), (kWidth - 1) % 100);

  constexpr int64_t kPages = 300000;
  const Tensor pages(DType::kBf16, {kPages, 1, 2, kBlockTokens, 64});
  const Tensor block_table(DType::kI32, {1, 1});
  block_table.ptr<int32_t>()[0] = kPages - 1;
  mm::testing::Random random(4);
  const Tensor v = random_tensor(random, DType::kBf16, {1, 1, 64});
  const Tensor out(DType::kBf16, {1, 1, 64});
  const mm::testing::Step step({{0, 1}});
  const PagedKv kv{pages, block_table};
  backend->store_kv(v, v, kv, step.ragged());
  backend->softmax_attention({v, kv, step.ragged(), 1, out});
  EXPECT_TRUE(mm::testing::same_bits(out, v));
}

INSTANTIATE_TEST_SUITE_P(Backends, VerbsTest, ::testing::Values("reference", "cpu"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace mm
