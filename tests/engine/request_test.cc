#include "engine/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/error.h"

namespace mm {
namespace {

std::string error_of(const std::function<void(SamplingParams&)>& change) {
  SamplingParams params;
  change(params);
  try {
    validate(params, 100);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    return error.what();
  }
  return "";
}

TEST(SamplingParams, DefaultsAndEdgesAreValid) {
  EXPECT_EQ(error_of([](SamplingParams&) {}), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.top_p = 1e-9f; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.min_p = 1; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) { p.top_k = 1000000; }), "");
  EXPECT_EQ(error_of([](SamplingParams& p) {
              p.logit_bias = {{99, -std::numeric_limits<float>::infinity()}};
            }),
            "");
}

TEST(SamplingParams, EachFieldOutOfRangeIsNamedWithItsValue) {
  using testing::HasSubstr;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_of([](SamplingParams& p) { p.temperature = -1; }),
              HasSubstr("temperature is -1"));
  EXPECT_THAT(error_of([&](SamplingParams& p) { p.temperature = nan; }), HasSubstr("temperature"));
  EXPECT_THAT(error_of([](SamplingParams& p) { p.top_p = 0; }), HasSubstr("top_p is 0"));
  EXPECT_THAT(error_of([](SamplingParams& p) { p.top_p = 1.5f; }), HasSubstr("top_p is 1.5"));
  EXPECT_THAT(error_of([&](SamplingParams& p) { p.top_p = nan; }), HasSubstr("top_p"));
  EXPECT_THAT(error_of([](SamplingParams& p) { p.top_k = -3; }), HasSubstr("top_k is -3"));
  EXPECT_THAT(error_of([](SamplingParams& p) { p.min_p = 2; }), HasSubstr("min_p is 2"));
  EXPECT_THAT(error_of([](SamplingParams& p) { p.repetition_penalty = 0; }),
              HasSubstr("repetition_penalty is 0"));
  EXPECT_THAT(error_of([](SamplingParams& p) { p.penalty_window = -2; }),
              HasSubstr("penalty_window is -2"));
  EXPECT_THAT(error_of([&](SamplingParams& p) { p.presence_penalty = nan; }),
              HasSubstr("presence_penalty"));
  EXPECT_THAT(error_of([&](SamplingParams& p) { p.frequency_penalty = nan; }),
              HasSubstr("frequency_penalty"));
  EXPECT_THAT(error_of([](SamplingParams& p) {
                p.logit_bias = {{100, 1.0f}};
              }),
              HasSubstr("token id 100"));
  EXPECT_THAT(error_of([](SamplingParams& p) {
                p.logit_bias = {{-1, 1.0f}};
              }),
              HasSubstr("token id -1"));
  EXPECT_THAT(error_of([](SamplingParams& p) {
                p.logit_bias = {{1, std::numeric_limits<float>::infinity()}};
              }),
              HasSubstr("logit_bias"));
}

TEST(FinishReason, HasNames) {
  EXPECT_STREQ(to_string(FinishReason::kStop), "stop");
  EXPECT_STREQ(to_string(FinishReason::kContextFull), "context_full");
}

}  // namespace
}  // namespace mm
