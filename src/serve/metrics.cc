#include "serve/metrics.h"

#include <fmt/format.h>

#include <algorithm>

namespace mm {

namespace {

void describe(std::string& out, const std::string& name, const char* type,
              const std::string& help) {
  out += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

void write_value(std::string& out, const std::string& name, const char* type,
                 const std::string& help, double value) {
  describe(out, name, type, help);
  out += fmt::format("{} {}\n", name, value);
}

/// Labels are our own words: none needs escaping.
void write_labelled(std::string& out, const std::string& name, const std::string& label,
                    const std::string& help, const std::map<std::string, int64_t>& values) {
  describe(out, name, "counter", help);
  for (const auto& [key, value] : values) {
    out += fmt::format("{}{{{}=\"{}\"}} {}\n", name, label, key, value);
  }
}

/// The same metric once for each kind of step, of a field of PhaseStats.
template <typename Number>
void write_phases(std::string& out, const char* name, const char* help, const EngineStats& stats,
                  Number PhaseStats::*field) {
  describe(out, name, "counter", help);
  out += fmt::format("{}{{phase=\"prefill\"}} {}\n", name, stats.prefill.*field);
  out += fmt::format("{}{{phase=\"decode\"}} {}\n", name, stats.decode.*field);
}

void write_steps(std::string& out, const EngineStats& stats) {
  const auto counter = [&](const char* name, const char* help, double value) {
    write_value(out, fmt::format("minimax_{}", name), "counter", help, value);
  };
  counter("preemptions_total", "Sequences put back for want of pages.",
          static_cast<double>(stats.preemptions));
  counter("steps_total", "Steps of the engine.", static_cast<double>(stats.steps));
  counter("step_rows_total", "Tokens of all steps.", static_cast<double>(stats.step_rows));
  counter("model_seconds_total", "Time in the model.", stats.model_seconds);
  counter("bookkeeping_seconds_total", "Time in scheduler and cache.", stats.bookkeeping_seconds);
  write_phases(out, "minimax_phase_steps_total",
               "Steps with several tokens of a prompt (prefill), and of single tokens (decode).",
               stats, &PhaseStats::steps);
  write_phases(out, "minimax_phase_rows_total", "Tokens of these steps.", stats, &PhaseStats::rows);
  write_phases(out, "minimax_phase_seconds_total", "Time in the model of these steps.", stats,
               &PhaseStats::seconds);
  write_phases(out, "minimax_phase_flops_total",
               "Floating-point operations that these steps needed at least.", stats,
               &PhaseStats::flops);
  write_phases(out, "minimax_phase_read_bytes_total",
               "Bytes of weights, states, keys and values that these steps read at least.", stats,
               &PhaseStats::bytes);
}

void write_engine(std::string& out, const EngineStats& stats) {
  const auto gauge = [&](const char* name, const char* help, int64_t value) {
    write_value(out, fmt::format("minimax_{}", name), "gauge", help, static_cast<double>(value));
  };
  const auto counter = [&](const char* name, const char* help, int64_t value) {
    write_value(out, fmt::format("minimax_{}", name), "counter", help, static_cast<double>(value));
  };
  gauge("sequences_running", "Sequences in the batch.", stats.running);
  gauge("sequences_waiting", "Sequences that wait for their turn.", stats.waiting);
  gauge("sequence_slots", "Live states: sequences that can be in the batch.", stats.slots);
  gauge("sequence_slots_free", "Such places that nobody has.", stats.free_slots);
  gauge("kv_pages", "Pages of keys and values.", stats.pages);
  gauge("kv_pages_free", "Pages that hold nothing.", stats.free_pages);
  gauge("kv_pages_used", "Pages of sequences in the batch and of loaded contexts.",
        stats.used_pages);
  gauge("kv_pages_cached", "Pages of cached prefixes, in use or not.", stats.cached_pages);
  gauge("states", "Places for kept recurrent states.", stats.checkpoints);
  gauge("states_free", "Such places that hold nothing.", stats.free_checkpoints);
  gauge("contexts_loaded", "Durable contexts that generations hold in the cache.",
        stats.pinned_prefixes);
  counter("kv_pages_evicted_total", "Cached pages given up.", stats.evicted_pages);
  counter("states_evicted_total", "Kept states given up.", stats.evicted_checkpoints);
  gauge("weight_bytes", "Memory of the weights.", stats.weight_bytes);
  gauge("reserved_bytes", "Memory reserved for pages, states and workspace.", stats.reserved_bytes);
  if (stats.free_device_bytes >= 0) {
    gauge("gpu_memory_free_bytes", "Memory of the GPU that nobody holds.", stats.free_device_bytes);
  }
  write_steps(out, stats);
}

}  // namespace

void Histogram::add(double seconds) {
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), seconds);
  ++counts_[static_cast<size_t>(bound - kBounds.begin())];
  sum_ += seconds;
}

void Histogram::write(std::string& out, const std::string& name, const std::string& help) const {
  describe(out, name, "histogram", help);
  int64_t total = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    total += counts_[i];
    out += fmt::format("{}_bucket{{le=\"{}\"}} {}\n", name, kBounds[i], total);
  }
  total += counts_.back();
  out +=
      fmt::format("{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, total, sum_);
}

void Metrics::count_request(const std::string& endpoint) {
  const std::lock_guard lock(mutex_);
  ++requests_[endpoint];
}

void Metrics::count_refusal(const std::string& reason) {
  const std::lock_guard lock(mutex_);
  ++refusals_[reason];
}

void Metrics::count_generation(const Usage& usage, const std::string& reason,
                               double first_token_seconds, double seconds_per_token,
                               double seconds) {
  const std::lock_guard lock(mutex_);
  ++generations_[reason];
  prompt_tokens_ += usage.prompt_tokens;
  cached_tokens_ += usage.cached_tokens;
  replayed_tokens_ += usage.replayed_tokens;
  generated_tokens_ += usage.generated_tokens;
  prefix_hits_ += usage.cached_tokens > 0 ? 1 : 0;
  if (first_token_seconds >= 0) {
    first_token_.add(first_token_seconds);
  }
  if (seconds_per_token >= 0) {
    per_token_.add(seconds_per_token);
  }
  whole_.add(seconds);
}

void Metrics::count_token_gap(double seconds) {
  const std::lock_guard lock(mutex_);
  between_tokens_.add(seconds);
}

std::string Metrics::render(const EngineStats& engine, const ServerLoad& load) const {
  std::string out;
  const std::lock_guard lock(mutex_);
  const auto counter = [&](const char* name, const char* help, int64_t value) {
    write_value(out, name, "counter", help, static_cast<double>(value));
  };
  write_labelled(out, "minimax_requests_total", "endpoint", "Requests taken.", requests_);
  write_labelled(out, "minimax_refusals_total", "reason", "Requests refused.", refusals_);
  write_labelled(out, "minimax_generations_total", "reason", "Generations by how they ended.",
                 generations_);
  counter("minimax_prompt_tokens_total", "Tokens of prompts.", prompt_tokens_);
  counter("minimax_cached_tokens_total", "Of them, taken from the cache.", cached_tokens_);
  counter("minimax_replayed_tokens_total", "Of them, computed again to reach a state.",
          replayed_tokens_);
  counter("minimax_generated_tokens_total", "Tokens generated.", generated_tokens_);
  counter("minimax_prefix_hits_total", "Generations that found a part of their prompt cached.",
          prefix_hits_);
  first_token_.write(out, "minimax_time_to_first_token_seconds", "From request to first token.");
  between_tokens_.write(out, "minimax_inter_token_seconds", "From one token to the next.");
  per_token_.write(out, "minimax_time_per_output_token_seconds",
                   "Mean time between tokens of a generation.");
  whole_.write(out, "minimax_generation_seconds", "From request to end.");
  write_value(out, "minimax_connections", "gauge", "Open connections.",
              static_cast<double>(load.connections));
  write_value(out, "minimax_generations_active", "gauge",
              "Generations that run, wait, or have their format compiled.",
              static_cast<double>(load.generations));
  write_engine(out, engine);
  return out;
}

}  // namespace mm
