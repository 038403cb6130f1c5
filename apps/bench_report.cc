#include "bench_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace mm::cli {

namespace {

constexpr double kGiga = 1e9;

template <typename F>
Spread spread_over(const BenchRow& row, F&& value) {
  std::vector<double> values;
  for (const Pair& pair : row.pairs) {
    values.push_back(value(pair));
  }
  return spread_of(values);
}

double percent_of(double value, double ceiling) {
  return ceiling > 0 ? 100 * value / ceiling : 0;
}

Json to_json(const Spread& spread) {
  return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}};
}

Spread scaled(const Spread& spread, double factor) {
  return {spread.median * factor, spread.min * factor, spread.max * factor};
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {median, values.front(), values.back()};
}

Spread tokens_per_second(const BenchRow& row) {
  return spread_over(row, [](const Pair& pair) { return pair.tokens_per_second; });
}

Spread read_percent(const BenchRow& row) {
  return spread_over(row, [&](const Pair& pair) {
    return percent_of(pair.tokens_per_second * row.bytes_per_token, pair.read_ceiling);
  });
}

Spread copy_percent(const BenchRow& row) {
  return spread_over(row, [&](const Pair& pair) {
    return percent_of(pair.tokens_per_second * row.bytes_per_token, pair.copy_ceiling);
  });
}

Spread product_percent(const BenchRow& row) {
  return spread_over(row, [&](const Pair& pair) {
    return percent_of(pair.tokens_per_second * row.flops_per_token, pair.product_ceiling);
  });
}

Json to_json(const BenchRow& row) {
  const Spread rate = tokens_per_second(row);
  const Spread read = spread_over(row, [](const Pair& pair) { return pair.read_ceiling; });
  const Spread product = spread_over(row, [](const Pair& pair) { return pair.product_ceiling; });
  Json pairs = Json::array();
  for (const Pair& pair : row.pairs) {
    pairs.push_back({{"tokens_per_second", pair.tokens_per_second},
                     {"read_ceiling_gb_per_second", pair.read_ceiling / kGiga},
                     {"copy_ceiling_gb_per_second", pair.copy_ceiling / kGiga},
                     {"product_ceiling_gflops", pair.product_ceiling / kGiga}});
  }
  Json steps = Json::array();
  for (const PrefillStep& step : row.steps) {
    steps.push_back({{"tokens", step.tokens}, {"seconds", step.seconds}});
  }
  return {{"kind", row.kind},
          {"tokens", row.tokens},
          {"depth", row.depth},
          {"bytes_per_token", row.bytes_per_token},
          {"flops_per_token", row.flops_per_token},
          {"tokens_per_second", to_json(rate)},
          {"gb_per_second", to_json(scaled(rate, row.bytes_per_token / kGiga))},
          {"gflops", to_json(scaled(rate, row.flops_per_token / kGiga))},
          {"read_ceiling_gb_per_second", to_json(scaled(read, 1 / kGiga))},
          {"product_ceiling_gflops", to_json(scaled(product, 1 / kGiga))},
          {"percent_of_read_ceiling", to_json(read_percent(row))},
          {"percent_of_copy_ceiling", to_json(copy_percent(row))},
          {"percent_of_product_ceiling", to_json(product_percent(row))},
          {"pairs", pairs},
          {"steps", steps}};
}

std::string format_table(const std::vector<BenchRow>& rows) {
  // Only an accelerator's copy is measured.
  const bool copies = std::any_of(rows.begin(), rows.end(),
                                  [](const BenchRow& row) { return copy_percent(row).median > 0; });
  std::string text =
      fmt::format("{:<16} {:>9} {:>19} {:>10} {:>7} {:>20}{} {:>8} {:>20}\n", "test", "tokens/s",
                  "(min-max)", "MB/token", "GB/s", "% read (min-max)",
                  copies ? fmt::format(" {:>8}", "% copy") : "", "GFLOP/s", "% product (min-max)");
  const auto range = [](const Spread& spread) {
    return fmt::format("{:.1f} ({:.1f}-{:.1f})", spread.median, spread.min, spread.max);
  };
  for (const BenchRow& row : rows) {
    const Spread rate = tokens_per_second(row);
    const std::string name = fmt::format("{} {}{}", row.kind, row.tokens,
                                         row.depth > 0 ? fmt::format(" @{}", row.depth) : "");
    text += fmt::format("{:<16} {:>9.1f} {:>19} {:>10.2f} {:>7.2f} {:>20}{} {:>8.1f} {:>20}\n",
                        name, rate.median, fmt::format("({:.1f}-{:.1f})", rate.min, rate.max),
                        row.bytes_per_token / 1e6, rate.median * row.bytes_per_token / kGiga,
                        range(read_percent(row)),
                        copies ? fmt::format(" {:>8.1f}", copy_percent(row).median) : "",
                        rate.median * row.flops_per_token / kGiga, range(product_percent(row)));
  }
  return text;
}

}  // namespace mm::cli
