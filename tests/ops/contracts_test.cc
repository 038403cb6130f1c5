#include "ops/contracts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/cpu/backend.h"
#include "ops/reference/backend.h"
#include "tests/ops/attention_fixtures.h"

namespace mm {
namespace {

using mm::testing::ints;
using ::testing::HasSubstr;

template <typename Function>
std::string message_of(Function&& function) {
  try {
    function();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    return error.what();
  }
  return "nothing was thrown";
}

TEST(ContractsTest, NameTheOpAndTheArgument) {
  const auto backend = make_reference_backend();
  const Tensor x(DType::kF32, {2, 8});
  const Tensor narrow(DType::kF32, {2, 7});
  const Tensor half(DType::kF16, {2, 8});
  const Tensor matrix(DType::kBf16, {3, 8});
  EXPECT_THAT(message_of([&] { backend->add_scaled(x, 1, narrow, 1, x); }),
              HasSubstr("add_scaled: b is F32 [2, 7]"));
  EXPECT_THAT(message_of([&] { backend->linear(narrow, Weight::dense(matrix), x); }),
              HasSubstr("linear: weight columns has K = 8, expected 7"));
  EXPECT_THAT(message_of([&] { backend->linear(half, Weight::dense(matrix), x); }),
              HasSubstr("linear: x is F16"));
  EXPECT_THAT(message_of([&] { backend->cast(x, narrow); }), HasSubstr("cast: x and out differ"));
  EXPECT_THAT(message_of([&] { backend->silu(half); }), HasSubstr("silu"));
  const Weight weight = Weight::dense(matrix);
  const Projection projection{weight, x};
  EXPECT_THAT(message_of([&] {
                backend->project(x, {&projection, 1});
              }),
              HasSubstr("project: out is F32 [2, 8]"));
  EXPECT_THAT(message_of([&] {
                backend->gated_norm(x, x, ints({1, 2}), 1, x);
              }),
              HasSubstr("gated_norm: weight is I32 [2]"));
  EXPECT_THAT(message_of([&] {
                backend->grouped_gated({x, ints({0, 2}), {&weight, 1}, {}, x, x, x});
              }),
              HasSubstr("grouped_gated: up has E = 0, expected 1"));
}

TEST(ContractsTest, RefuseWeightsThatDoNotFitTheirFormat) {
  const auto backend = make_reference_backend();
  const Tensor x(DType::kF32, {1, 64});
  const Tensor out(DType::kF32, {1, 2});
  const Tensor words(DType::kI32, {2, 8});
  const Tensor scales(DType::kF32, {2, 1});
  Weight weight;
  weight.data = words;
  weight.scales = scales;
  weight.format = QuantFormat::kInt4Group;
  weight.rows = 2;
  weight.cols = 64;
  for (int group : {0, 7, 128}) {
    weight.group_size = group;
    EXPECT_THAT(message_of([&] { backend->linear(x, weight, out); }),
                HasSubstr("not a whole number of groups"));
  }
  weight.group_size = 32;
  EXPECT_THAT(message_of([&] { backend->linear(x, weight, out); }), HasSubstr("scales"));
  weight.group_size = 64;
  EXPECT_NO_THROW(backend->linear(x, weight, out));
}

TEST(ContractsTest, RefuseRotaryDimensionsThatDoNotFit) {
  const auto backend = make_reference_backend();
  const Tensor x(DType::kF32, {1, 1, 8});
  const Tensor positions = ints({0});
  for (int rotary : {-2, 3, 10})
    EXPECT_THROW(backend->rope({x, positions, rotary, 1e4}), Error) << rotary;
  EXPECT_THROW(backend->rope({x, positions, 8, 0}), Error);
}

// Values that point outside a tensor are our own mistakes too, and must not become wild reads.
TEST(ContractsTest, RefuseIndicesOutOfRange) {
  ThreadPool pool(1);
  for (const auto& backend : {make_reference_backend(), make_cpu_backend(pool)}) {
    SCOPED_TRACE(backend->name());
    const Tensor x(DType::kF32, {3, 8});
    const Tensor row(DType::kF32, {1, 8});
    EXPECT_THROW(backend->embed(ints({3}), Weight::dense(x), row), Error);
    EXPECT_THROW(backend->embed(ints({-1}), Weight::dense(x), row), Error);
    EXPECT_THROW(backend->gather_rows(x, ints({3}), row), Error);
    Tensor ids(DType::kI32, {1, 1});
    ids.ptr<int32_t>()[0] = 4;
    const Tensor order(DType::kI32, {1});
    const Tensor offsets(DType::kI32, {5});
    EXPECT_THROW(backend->group_by_expert(ids, 4, {order, ids, offsets}), Error);
  }
}

TEST(ContractsTest, RefuseRaggedRowsThatDoNotAddUp) {
  ThreadPool pool(1);
  for (const auto& backend : {make_reference_backend(), make_cpu_backend(pool)}) {
    SCOPED_TRACE(backend->name());
    const Tensor q(DType::kF32, {3, 1, 8});
    const Tensor pages(DType::kF32, {1, 1, 2, kBlockTokens, 8});
    const Tensor table(DType::kI32, {1, 1});
    const PagedKv kv{pages, table};
    const auto attend = [&](const Tensor& offsets, const Tensor& starts) {
      backend->softmax_attention({q, kv, {offsets, starts}, 1, q});
    };
    EXPECT_NO_THROW(attend(ints({0, 3}), ints({0})));
    EXPECT_THROW(attend(ints({0, 2}), ints({0})), Error);
    EXPECT_THROW(attend(ints({1, 3}), ints({0})), Error);
    EXPECT_THROW(attend(ints({0, 3}), ints({-1})), Error);
    // Position 64 has no page.
    EXPECT_THROW(attend(ints({0, 3}), ints({62})), Error);
    table.ptr<int32_t>()[0] = 1;
    EXPECT_THROW(attend(ints({0, 3}), ints({0})), Error);
  }
}

TEST(ContractsTest, PagesOfCodesNeedScalesAndOthersHaveNone) {
  const auto backend = make_reference_backend();
  const Tensor q(DType::kF32, {1, 1, 8});
  const Tensor table(DType::kI32, {1, 1});
  const Tensor scales(DType::kF32, {1, 1, 2, kBlockTokens});
  const mm::testing::Step step({{0, 1}});
  const auto store = [&](DType type, const TensorView& with) {
    const Tensor pages(type, {1, 1, 2, kBlockTokens, 8});
    backend->store_kv(q, q, {pages, table, with}, step.ragged());
  };
  for (DType type : {DType::kI8, DType::kF8E4M3}) {
    EXPECT_NO_THROW(store(type, scales));
    EXPECT_THAT(message_of([&] { store(type, {}); }), HasSubstr("kv.scales"));
    EXPECT_THROW(store(type, scales.view().at(0)), Error);
  }
  EXPECT_THAT(message_of([&] { store(DType::kBf16, scales); }), HasSubstr("hold no codes"));
  EXPECT_THAT(message_of([&] { store(DType::kF16, {}); }), HasSubstr("F8_E4M3 or I8"));
}

TEST(ContractsTest, AcceptStepsWithoutRows) {
  ThreadPool pool(1);
  for (const auto& backend : {make_reference_backend(), make_cpu_backend(pool)}) {
    const Tensor x(DType::kF32, {0, 8});
    const Tensor heads(DType::kF32, {0, 2, 8});
    const Tensor w(DType::kF32, {8});
    const Tensor matrix(DType::kF32, {8, 8});
    const Tensor none(DType::kI32, {0});
    EXPECT_NO_THROW(backend->embed(none, Weight::dense(matrix), x));
    EXPECT_NO_THROW(backend->rms_norm(x, w, 1e-5f, x));
    EXPECT_NO_THROW(backend->linear(x, Weight::dense(matrix), x));
    EXPECT_NO_THROW(backend->silu(x));
    EXPECT_NO_THROW(backend->rope({heads, none, 8, 1e4}));
    EXPECT_NO_THROW(backend->gather_rows(matrix, none, x));
  }
}

}  // namespace
}  // namespace mm
