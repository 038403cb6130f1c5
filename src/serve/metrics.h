/// What the server counts, and its text for Prometheus.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "engine/engine.h"

namespace mm {

/// Counts of values under growing bounds, as Prometheus wants them.
class Histogram {
 public:
  /// Seconds: from one decode step of a small model to the prefill of a book.
  static constexpr std::array<double, 14> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                     0.25,  0.5,    1,     2.5,  10,    60,   600};
  void add(double seconds);
  /// Appends the samples of a histogram named `name`.
  void write(std::string& out, const std::string& name, const std::string& help) const;

 private:
  std::array<int64_t, kBounds.size() + 1> counts_{};
  double sum_ = 0;
};

/// What is open at the moment.
struct ServerLoad {
  int connections = 0;
  int generations = 0;  ///< running, waiting, or behind the compiler of formats
};

/// Any thread may call.
class Metrics {
 public:
  void count_request(const std::string& endpoint);
  void count_refusal(const std::string& reason);
  /// A generation that ended: `reason` is a finish reason or "error". Times below 0 are not known.
  void count_generation(const Usage& usage, const std::string& reason, double first_token_seconds,
                        double seconds_per_token, double seconds);

  /// A token that came this long after the one before it.
  void count_token_gap(double seconds);

  /// The text format of Prometheus, version 0.0.4.
  std::string render(const EngineStats& engine, const ServerLoad& load) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, int64_t> requests_, refusals_, generations_;
  int64_t prompt_tokens_ = 0, cached_tokens_ = 0, replayed_tokens_ = 0, generated_tokens_ = 0;
  int64_t prefix_hits_ = 0;
  Histogram first_token_, between_tokens_, per_token_, whole_;
};

}  // namespace mm
