/// What a benchmark measured, as a table and as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json_value.h"

namespace mm::cli {

/// One measurement with the ceilings of the moment: all within about a second.
struct Pair {
  double tokens_per_second = 0;
  double read_ceiling = 0;     ///< bytes/s that can be read
  double copy_ceiling = 0;     ///< bytes/s of a copy, read plus written; 0: not measured
  double product_ceiling = 0;  ///< FLOP/s of a large bf16 product; 0: not measured
};

/// How far a prefill was after one of its steps.
struct PrefillStep {
  int64_t tokens = 0;  ///< done
  double seconds = 0;  ///< since its start
};

/// A kind of work, measured several times.
struct BenchRow {
  std::string kind;            ///< "prefill" or "decode"
  int64_t tokens = 0;          ///< per repetition
  int64_t depth = 0;           ///< tokens in the sequence before
  double bytes_per_token = 0;  ///< weights, states, tails and keys that must be read
  double flops_per_token = 0;  ///< of products with weights and of attention's causal half
  std::vector<Pair> pairs = {};
  std::vector<PrefillStep> steps = {};  ///< of the last repetition of a prefill in several steps
};

/// Order statistics of a list.
struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};
/// Of at least one value; the median of an even count is the mean of the middle two.
Spread spread_of(std::vector<double> values);

Spread tokens_per_second(const BenchRow& row);
/// Median, least and most of the pairs' own ratios, in percent of the ceilings; 0 where one was not
/// measured.
Spread read_percent(const BenchRow& row);
Spread copy_percent(const BenchRow& row);
Spread product_percent(const BenchRow& row);

Json to_json(const BenchRow& row);
std::string format_table(const std::vector<BenchRow>& rows);

}  // namespace mm::cli
