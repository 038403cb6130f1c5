#include "load/load_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace mm {

namespace {

constexpr double kMilli = 1e3;  // milliseconds a second

void count_failure(std::vector<LoadFailure>& failures, const RequestRecord& record) {
  const auto known =
      std::find_if(failures.begin(), failures.end(),
                   [&](const LoadFailure& failure) { return failure.kind == record.failure; });
  if (known != failures.end()) {
    ++known->count;
  } else {
    failures.push_back({record.failure, 1, record.message});
  }
}

/// The samples behind the summaries.
struct Samples {
  std::vector<double> first_token, per_token, between_events, whole, delay;

  void add(const RequestRecord& record) {
    first_token.push_back(record.first - record.sent);
    whole.push_back(record.end - record.sent);
    between_events.insert(between_events.end(), record.gaps.begin(), record.gaps.end());
    if (record.tokens() > 1) {
      per_token.push_back((record.end - record.first) / static_cast<double>(record.tokens() - 1));
    }
  }
};

void add_tokens(LoadReport& report, const RequestRecord& record) {
  report.prompt_tokens += std::max<int64_t>(0, record.prompt_tokens);
  report.cached_tokens += std::max<int64_t>(0, record.cached_tokens);
  report.output_tokens += record.tokens();
  report.prompts_counted = report.prompts_counted && record.prompt_tokens >= 0;
  report.cached_counted = report.cached_counted && record.cached_tokens >= 0;
  report.outputs_counted = report.outputs_counted && record.output_tokens >= 0;
}

Json milliseconds(const Summary& summary) {
  return {{"count", summary.count},
          {"mean", summary.mean * kMilli},
          {"deviation", summary.deviation * kMilli},
          {"min", summary.min * kMilli},
          {"median", summary.median * kMilli},
          {"p90", summary.p90 * kMilli},
          {"p99", summary.p99 * kMilli},
          {"max", summary.max * kMilli}};
}

std::string row(const char* name, const Summary& summary) {
  return fmt::format("{:<24} {:>10.2f} {:>10.2f} {:>10.2f} {:>10.2f}\n", name,
                     summary.mean * kMilli, summary.median * kMilli, summary.p90 * kMilli,
                     summary.p99 * kMilli);
}

std::string format_tokens(const LoadReport& report) {
  std::string text = report.prompts_counted ? fmt::format("{} of prompts", report.prompt_tokens)
                                            : "of prompts not told";
  if (report.prompts_counted && report.cached_counted) {
    text += fmt::format(" ({:.1f} % cached)", 100 * report.cached_share());
  }
  return text + fmt::format(", {} of answers{}", report.output_tokens,
                            report.outputs_counted ? "" : " (events: the server counts none)");
}

}  // namespace

double LoadReport::rate(int64_t count) const {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

double LoadReport::cached_share() const {
  return prompt_tokens > 0 ? static_cast<double>(cached_tokens) / static_cast<double>(prompt_tokens)
                           : 0;
}

LoadReport make_load_report(const LoadResult& result) {
  LoadReport report;
  report.seconds = result.seconds;
  report.peak = result.peak;
  Samples samples;
  for (const RequestRecord& record : result.records) {
    samples.delay.push_back(record.sent - record.due);
    if (record.complete) {
      ++report.complete;
      samples.add(record);
      add_tokens(report, record);
    } else if (!record.failure.empty()) {
      ++report.failed;
      count_failure(report.failures, record);
    } else {
      ++report.unfinished;
    }
  }
  report.first_token = summarize(std::move(samples.first_token));
  report.per_token = summarize(std::move(samples.per_token));
  report.between_events = summarize(std::move(samples.between_events));
  report.whole = summarize(std::move(samples.whole));
  report.delay = summarize(std::move(samples.delay));
  return report;
}

Json to_json(const LoadReport& report) {
  Json failures = Json::array();
  for (const LoadFailure& failure : report.failures) {
    failures.push_back(
        {{"kind", failure.kind}, {"count", failure.count}, {"message", failure.message}});
  }
  const auto counted = [](bool known, auto value) { return known ? Json(value) : Json(); };
  return {{"complete", report.complete},
          {"failed", report.failed},
          {"unfinished", report.unfinished},
          {"failures", std::move(failures)},
          {"duration_seconds", report.seconds},
          {"peak_concurrency", report.peak},
          {"prompt_tokens", counted(report.prompts_counted, report.prompt_tokens)},
          {"cached_tokens", counted(report.cached_counted, report.cached_tokens)},
          {"cached_share",
           counted(report.cached_counted && report.prompts_counted, report.cached_share())},
          {"output_tokens", report.output_tokens},
          {"output_tokens_counted_by", report.outputs_counted ? "server" : "events"},
          {"request_throughput", report.requests_per_second()},
          {"output_throughput", report.output_tokens_per_second()},
          {"total_token_throughput", counted(report.prompts_counted, report.tokens_per_second())},
          {"ttft_ms", milliseconds(report.first_token)},
          {"tpot_ms", milliseconds(report.per_token)},
          {"itl_ms", milliseconds(report.between_events)},
          {"e2e_ms", milliseconds(report.whole)},
          {"send_delay_ms", milliseconds(report.delay)}};
}

std::string format_load_report(const LoadReport& report) {
  std::string text = fmt::format(
      "requests    {} complete, {} failed{} in {:.2f} s, at most {} at once\n"
      "tokens      {}\n"
      "throughput  {:.2f} requests/s, {:.1f} output tokens/s",
      report.complete, report.failed,
      report.unfinished > 0 ? fmt::format(", {} stopped", report.unfinished) : "", report.seconds,
      report.peak, format_tokens(report), report.requests_per_second(),
      report.output_tokens_per_second());
  if (report.prompts_counted) {
    text += fmt::format(", {:.1f} tokens/s with prompts", report.tokens_per_second());
  }
  text += fmt::format("\n{:<24} {:>10} {:>10} {:>10} {:>10}\n", "milliseconds", "mean", "median",
                      "p90", "p99");
  text += row("to first token (TTFT)", report.first_token);
  text += row("per output token (TPOT)", report.per_token);
  text += row("between events (ITL)", report.between_events);
  text += row("to the end (E2E)", report.whole);
  for (const LoadFailure& failure : report.failures) {
    text += fmt::format("failed {} times: {}: {}\n", failure.count, failure.kind, failure.message);
  }
  return text;
}

}  // namespace mm
