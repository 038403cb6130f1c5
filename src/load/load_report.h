/// What a load came to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json_value.h"
#include "load/load.h"
#include "load/statistics.h"

namespace mm {

/// Requests that failed in the same way.
struct LoadFailure {
  std::string kind;  ///< as RequestRecord::failure
  int64_t count = 0;
  std::string message;  ///< of the first
};

/// Times in seconds. Tokens and times are those of complete answers.
struct LoadReport {
  int64_t complete = 0;
  int64_t failed = 0;
  int64_t unfinished = 0;             ///< sent, and ended by us
  std::vector<LoadFailure> failures;  ///< in the order in which they first came
  double seconds = 0;                 ///< from the first sending to the end of the last answer
  int64_t peak = 0;                   ///< most requests under way at once
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t output_tokens = 0;
  bool prompts_counted = true;  ///< the server counted all prompts
  bool cached_counted = true;   ///< and what it took from a cache
  bool outputs_counted = true;  ///< and the tokens of all answers; else events with text stand in
  Summary first_token;          ///< from sending to the first event with text (TTFT)
  /// From the first event with text to the end, divided by the output tokens behind the first
  /// (TPOT), of answers that have any.
  Summary per_token;
  Summary between_events;  ///< from one event with text to the next (ITL), all answers together
  Summary whole;           ///< from sending to the last event (E2E)
  Summary delay;           ///< from when a request was due to its sending; of all that were sent

  double requests_per_second() const { return rate(complete); }
  double output_tokens_per_second() const { return rate(output_tokens); }
  double tokens_per_second() const { return rate(prompt_tokens + output_tokens); }
  double cached_share() const;  ///< of the prompts' tokens; 0 without any

 private:
  double rate(int64_t count) const;  ///< 0 in no time
};

LoadReport make_load_report(const LoadResult& result);

/// All of it, times in milliseconds; what was not counted is null.
Json to_json(const LoadReport& report);

/// The same for people, as lines.
std::string format_load_report(const LoadReport& report);

}  // namespace mm
