#include "load/load_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mm {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Sent at 1 and answered from 3 to 7 with 5 tokens in 3 events.
RequestRecord complete_record() {
  RequestRecord record;
  record.due = 0.5;
  record.sent = 1;
  record.first = 3;
  record.end = 7;
  record.gaps = {1, 2};
  record.events = 3;
  record.prompt_tokens = 10;
  record.cached_tokens = 4;
  record.output_tokens = 5;
  record.complete = true;
  return record;
}

RequestRecord failed_record(const std::string& kind, const std::string& message) {
  RequestRecord record;
  record.failure = kind;
  record.message = message;
  return record;
}

LoadResult result_of(std::vector<RequestRecord> records) {
  LoadResult result;
  result.records = std::move(records);
  result.seconds = 8;
  result.peak = 2;
  return result;
}

TEST(LoadReport, MeasuresAsItsHeaderSays) {
  const LoadReport report = make_load_report(result_of({complete_record()}));
  EXPECT_EQ(report.complete, 1);
  EXPECT_EQ(report.first_token.mean, 2);
  EXPECT_EQ(report.per_token.mean, 1);  // (7 - 3) / (5 - 1)
  EXPECT_EQ(report.between_events.count, 2);
  EXPECT_EQ(report.between_events.mean, 1.5);
  EXPECT_EQ(report.whole.mean, 6);
  EXPECT_EQ(report.delay.mean, 0.5);
  EXPECT_EQ(report.requests_per_second(), 1.0 / 8);
  EXPECT_EQ(report.output_tokens_per_second(), 5.0 / 8);
  EXPECT_EQ(report.tokens_per_second(), 15.0 / 8);
  EXPECT_EQ(report.cached_share(), 0.4);
}

TEST(LoadReport, AnAnswerOfOneTokenHasNoTimePerToken) {
  RequestRecord record = complete_record();
  record.output_tokens = 1;
  record.gaps.clear();
  const LoadReport report = make_load_report(result_of({record, complete_record()}));
  EXPECT_EQ(report.per_token.count, 1);
  EXPECT_EQ(report.first_token.count, 2);
}

TEST(LoadReport, FailuresAreCountedByKindAndMeasureNothing) {
  RequestRecord stopped;
  const LoadReport report = make_load_report(
      result_of({failed_record("http 429", "first"), complete_record(),
                 failed_record("timeout", "late"), failed_record("http 429", "second"), stopped}));
  EXPECT_EQ(report.complete, 1);
  EXPECT_EQ(report.failed, 3);
  EXPECT_EQ(report.unfinished, 1);
  ASSERT_EQ(report.failures.size(), 2);
  EXPECT_EQ(report.failures[0].kind, "http 429");
  EXPECT_EQ(report.failures[0].count, 2);
  EXPECT_EQ(report.failures[0].message, "first");
  EXPECT_EQ(report.failures[1].count, 1);
  EXPECT_EQ(report.first_token.count, 1);
  EXPECT_EQ(report.delay.count, 5);
}

TEST(LoadReport, WhatTheServerDoesNotCountIsNotMadeUp) {
  RequestRecord record = complete_record();
  record.prompt_tokens = record.cached_tokens = record.output_tokens = -1;
  const LoadReport report = make_load_report(result_of({complete_record(), record}));
  EXPECT_EQ(report.output_tokens, 5 + 3);
  const Json json = to_json(report);
  EXPECT_TRUE(json["prompt_tokens"].is_null());
  EXPECT_TRUE(json["cached_share"].is_null());
  EXPECT_TRUE(json["total_token_throughput"].is_null());
  EXPECT_EQ(json["output_tokens_counted_by"], "events");
  EXPECT_THAT(format_load_report(report), HasSubstr("of prompts not told"));
  EXPECT_THAT(format_load_report(report), Not(HasSubstr("cached")));
}

TEST(LoadReport, NothingAtAllIsAllZero) {
  const LoadReport report = make_load_report({});
  EXPECT_EQ(report.requests_per_second(), 0);
  EXPECT_EQ(report.cached_share(), 0);
  EXPECT_EQ(to_json(report)["ttft_ms"]["count"], 0);
}

TEST(LoadReport, JsonIsInMilliseconds) {
  const Json json = to_json(make_load_report(result_of({complete_record()})));
  EXPECT_EQ(json["ttft_ms"]["mean"], 2000);
  EXPECT_EQ(json["tpot_ms"]["p99"], 1000);
  EXPECT_EQ(json["itl_ms"]["max"], 2000);
  EXPECT_EQ(json["e2e_ms"]["median"], 6000);
  EXPECT_EQ(json["cached_share"], 0.4);
}

TEST(LoadReport, TextHasFailuresWithTheirFirstMessage) {
  const std::string text = format_load_report(make_load_report(
      result_of({complete_record(), failed_record("closed", "it went"), RequestRecord{}})));
  EXPECT_THAT(text, HasSubstr("1 complete, 1 failed, 1 stopped in 8.00 s, at most 2 at once"));
  EXPECT_THAT(text, HasSubstr("10 of prompts (40.0 % cached), 5 of answers"));
  EXPECT_THAT(text, HasSubstr("failed 1 times: closed: it went"));
}

}  // namespace
}  // namespace mm
