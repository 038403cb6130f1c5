/// Flags that several commands share, each with its environment twin.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/request.h"
#include "engine/runner.h"

namespace mm::cli {

/// Thrown for arguments that parse but make no sense together; main exits with kWrongUsage.
struct UsageError {
  std::string message;
};

/// Flags of every command.
struct CommonFlags {
  bool verbose = false;
  bool quiet = false;
  bool json = false;
};

/// Where and how a model runs.
struct ModelFlags {
  std::string model;  ///< empty: the bundled model
  std::string device = "auto";
  std::string cuda_graphs = "on";
  std::string cuda_overlap = "on";
  bool deterministic = false;
  int threads = 0;           ///< 0: all cores
  int64_t context_size = 0;  ///< 0: the command decides
  std::string compute = "bf16";
  std::string kv_dtype;  ///< empty: the compute type
  int64_t prefill_chunk = 512;
};

/// How much an engine keeps.
struct CacheFlags {
  std::string memory;            ///< bytes, with a suffix or not; empty: enough for the context
  int64_t checkpoint_every = 0;  ///< 0: chosen by cost
};

/// Sampling flags that were given; the others come from the model's generation_config.json.
struct SamplingFlags {
  std::optional<float> temperature, top_p, min_p;
  std::optional<float> repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<int> top_k, penalty_window;
  std::optional<uint64_t> seed;
  std::vector<std::string> logit_bias;
  std::vector<std::string> stops;
  std::string grammar_file, schema_file;  ///< what the answer must be; empty: anything
  int64_t max_tokens = -1;
};

/// Text given as a flag, in a file or on stdin.
struct TextSource {
  std::string text, file;
  const CLI::Option* text_option = nullptr;
  const CLI::Option* file_option = nullptr;
};
/// Adds -p/--prompt and -f/--file; `what` names the text in help.
void add_text_source(CLI::App& command, TextSource& source, const std::string& what);
/// The text as it is. Throws UsageError if both are given, or neither and stdin is a terminal that
/// nobody was asked to type into; what read_text_file and read_stdin throw.
std::string read_text(const TextSource& source);

void add_common_flags(CLI::App& command, CommonFlags& flags);
void add_model_flag(CLI::App& command, std::string& model);
void add_model_flags(CLI::App& command, ModelFlags& flags);
void add_compute_flags(CLI::App& command, ModelFlags& flags);
void add_deterministic_flag(CLI::App& command, ModelFlags& flags);
void add_cache_flags(CLI::App& command, CacheFlags& flags);
void add_sampling_flags(CLI::App& command, SamplingFlags& flags);

/// Gives every option with a long name its twin MINIMAX_<NAME>, and lets the last of repeated flags
/// win (lists collect them).
void finish_options(CLI::App& command);

/// Where --device says: "auto" is cuda:0 where it can be used, else the host. Throws kUnsupported
/// for one that cannot be used, UsageError for a name that is none.
Device device_of(const ModelFlags& flags);

/// The runner options these flags ask for; context_size is left to the caller when it is 0.
/// Throws kUnsupported for a device or a type this build cannot do, UsageError for a name that is
/// none.
RunnerOptions make_runner_options(const ModelFlags& flags);

/// The engine options these flags ask for, likewise, for one sequence at a time.
EngineOptions make_engine_options(const ModelFlags& flags, const CacheFlags& cache);

/// "1000000", "512K", "64M", "1.5G", "2T" (powers of 1024) as bytes. Throws UsageError naming
/// `flag`.
int64_t parse_bytes(const std::string& flag, const std::string& text);

/// `defaults` with the given flags on top; a random seed unless one is given. Any flag that only
/// matters when sampling, given where the defaults are greedy, leaves them greedy.
SamplingParams make_sampling(const SamplingFlags& flags, const SamplingParams& defaults);

/// "ID+BIAS" or "ID-BIAS" (e.g. 42-inf, 7+1.5). Throws UsageError.
std::pair<int32_t, float> parse_logit_bias(const std::string& text);

}  // namespace mm::cli
