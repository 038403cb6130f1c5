#include "tensor/matcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mm {
namespace {

using testing::AllOf;
using testing::HasSubstr;

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

TEST(ShapeMatcherTest, LearnsLettersAndKeepsThem) {
  ShapeMatcher match("op");
  const Tensor x(DType::kF32, {7, 3});
  const Tensor w(DType::kF32, {3});
  const Tensor offsets(DType::kI32, {8});
  const Tensor pages(DType::kBf16, {5, 2, 64, 3});
  match("x", x, DTypeSet::kF32, "T D");
  match("w", w, DTypeSet::kFloat, "D");
  match("offsets", offsets, DTypeSet::kI32, "T+1");
  match("pages", pages, DTypeSet::kFloat, "* 2 64 D");
  EXPECT_EQ(match['T'], 7);
  EXPECT_EQ(match['D'], 3);
}

TEST(ShapeMatcherTest, NamesOpArgumentExpectedAndFound) {
  ShapeMatcher match("rms_norm");
  const Tensor x(DType::kF32, {7, 3});
  const Tensor w(DType::kF32, {4});
  match("x", x, DTypeSet::kF32, "T D");
  EXPECT_THAT(message_of([&] { match("weight", w, DTypeSet::kF32, "D"); }),
              AllOf(HasSubstr("rms_norm: weight is F32 [4]"), HasSubstr("expected F32 [D]"),
                    HasSubstr("D = 3")));
}

TEST(ShapeMatcherTest, RefusesEveryKindOfMismatch) {
  const Tensor x(DType::kF32, {7, 3});
  const auto refuse = [](const TensorView& view, DTypeSet types, const char* pattern) {
    ShapeMatcher match("op");
    EXPECT_THROW(match("x", view, types, pattern), Error) << pattern;
  };
  refuse(x, DTypeSet::kI32, "T D");
  refuse(x, DTypeSet::kF32, "T");
  refuse(x, DTypeSet::kF32, "T D K");
  refuse(x, DTypeSet::kF32, "T T");
  refuse(x, DTypeSet::kF32, "8 D");
  refuse(x, DTypeSet::kF32, "T 33");
  TensorView no_memory = x;
  no_memory.data = nullptr;
  refuse(no_memory, DTypeSet::kF32, "T D");
  const Tensor no_offsets(DType::kI32, {0});
  refuse(no_offsets, DTypeSet::kI32, "N+1");
}

TEST(ShapeMatcherTest, KnowsLayouts) {
  const Tensor x(DType::kF32, {7, 6});
  TensorView columns = x;
  columns.shape[1] = 3;
  TensorView transposed = x;
  std::swap(transposed.shape[0], transposed.shape[1]);
  std::swap(transposed.strides[0], transposed.strides[1]);
  ShapeMatcher match("op");
  EXPECT_NO_THROW(match("x", columns, DTypeSet::kF32, "T D", Layout::kUnitRows));
  EXPECT_THROW(match("x", columns, DTypeSet::kF32, "T D"), Error);
  EXPECT_THROW(match("x", transposed, DTypeSet::kF32, "H K", Layout::kUnitRows), Error);
}

TEST(ShapeMatcherTest, AcceptsEmptyTensorsWithoutMemory) {
  ShapeMatcher match("op");
  const Tensor x(DType::kF32, {0, 3});
  EXPECT_NO_THROW(match("x", x, DTypeSet::kF32, "T D"));
  EXPECT_EQ(match['T'], 0);
}

TEST(ShapeMatcherTest, BindsSizesFromElsewhere) {
  ShapeMatcher match("op");
  match.bind("w", 'K', 5);
  EXPECT_THAT(message_of([&] { match.bind("v", 'K', 6); }),
              AllOf(HasSubstr("op: v has K = 6"), HasSubstr("expected 5")));
  EXPECT_THAT(message_of([&] { match.require(false, "no"); }), HasSubstr("op: no"));
}

}  // namespace
}  // namespace mm
