#include "options.h"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <random>

#include "base/error.h"
#include "ops/cuda/backend.h"
#include "output.h"

namespace mm::cli {

namespace {

/// A repeatable option that takes one value each time.
template <typename T>
CLI::Option* add_list(CLI::App& command, const char* names, std::vector<T>& values,
                      const char* help) {
  return command.add_option(names, values, help)->allow_extra_args(false);
}

void add_number(CLI::App& command, const char* names, std::optional<float>& value,
                const char* help) {
  command.add_option(names, value, help)->type_name("NUMBER");
}

std::string upper_snake(std::string name) {
  for (char& c : name) {
    c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

/// 0 for "cuda", INDEX for "cuda:INDEX".
std::optional<int> cuda_index(const std::string& name) {
  if (name == "cuda") {
    return 0;
  }
  constexpr std::string_view kPrefix = "cuda:";
  if (name.rfind(kPrefix, 0) != 0) {
    return std::nullopt;
  }
  int index = -1;
  const char* const end = name.data() + name.size();
  const auto [rest, code] = std::from_chars(name.data() + kPrefix.size(), end, index);
  return code == std::errc() && rest == end && index >= 0 ? std::optional(index) : std::nullopt;
}

/// `name` is one that --kv-dtype accepts, or empty.
DType kv_dtype_of(const std::string& name, ComputeType compute) {
  if (name == "f32") {
    return DType::kF32;
  }
  if (name == "bf16") {
    return DType::kBf16;
  }
  if (name == "fp8") {
    return DType::kF8E4M3;
  }
  if (name == "int8") {
    return DType::kI8;
  }
  return to_dtype(compute);
}

}  // namespace

void add_text_source(CLI::App& command, TextSource& source, const std::string& what) {
  source.text_option = command.add_option("-p,--prompt", source.text, what)->type_name("TEXT");
  source.file_option =
      command.add_option("-f,--file", source.file, what + ", from a file")->type_name("FILE");
}

std::string read_text(const TextSource& source) {
  const bool has_text = source.text_option->count() > 0;
  const bool has_file = source.file_option->count() > 0;
  if (has_text && has_file) {
    throw UsageError{"--prompt and --file are both given, expected one"};
  }
  if (has_text) {
    return source.text;
  }
  if (has_file) {
    return read_text_file(source.file);
  }
  if (stdin_is_terminal()) {
    throw UsageError{"no text: give -p TEXT, -f FILE or text on standard input"};
  }
  return read_stdin();
}

void add_common_flags(CLI::App& command, CommonFlags& flags) {
  command.add_flag("-v,--verbose", flags.verbose, "Say more on stderr");
  command.add_flag("--quiet", flags.quiet, "Nothing on stderr but errors");
  command.add_flag("--json", flags.json, "Results as JSON");
}

void add_model_flag(CLI::App& command, std::string& model) {
  command.add_option("-m,--model", model, "Model folder (default: the bundled model)")
      ->type_name("DIR");
}

void add_compute_flags(CLI::App& command, ModelFlags& flags) {
  command.add_option("--device", flags.device, "Where to compute: auto, cpu, cuda or cuda:INDEX")
      ->type_name("NAME");
  command
      .add_option("--cuda-graphs", flags.cuda_graphs,
                  "On a CUDA device: play decoding steps back from recorded graphs")
      ->check(CLI::IsMember({"on", "off"}))
      ->type_name("on|off")
      ->capture_default_str();
  command
      .add_option("--cuda-overlap", flags.cuda_overlap,
                  "On a CUDA device: begin kernels while the one before ends")
      ->check(CLI::IsMember({"on", "off"}))
      ->type_name("on|off")
      ->capture_default_str();
  command.add_option("-t,--threads", flags.threads, "Threads (default: one per core)")
      ->check(CLI::Range(1, 1024))
      ->type_name("N");
  command.add_option("--compute", flags.compute, "Type of products")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->type_name("TYPE")
      ->capture_default_str();
  command
      .add_option("--kv-dtype", flags.kv_dtype,
                  "Type of cached keys and values (default: as --compute)")
      ->check(CLI::IsMember({"f32", "bf16", "fp8", "int8"}))
      ->type_name("TYPE");
}

void add_deterministic_flag(CLI::App& command, ModelFlags& flags) {
  command.add_flag(
      "--deterministic", flags.deterministic,
      "On a CUDA device: results bit for bit the same in any chunks, from any cache and "
      "beside any others (on the CPU they always are)");
}

void add_model_flags(CLI::App& command, ModelFlags& flags) {
  add_model_flag(command, flags.model);
  add_compute_flags(command, flags);
  command.add_option("-c,--ctx-size", flags.context_size, "Most tokens of the sequence")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30))
      ->type_name("N");
  command.add_option("--prefill-chunk", flags.prefill_chunk, "Prompt tokens per step")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->type_name("N")
      ->capture_default_str();
}

void add_cache_flags(CLI::App& command, CacheFlags& flags) {
  command
      .add_option("--memory", flags.memory,
                  "Memory of all but the weights, e.g. 2G (default: enough for --ctx-size)")
      ->type_name("BYTES");
  command
      .add_option("--checkpoint-every", flags.checkpoint_every,
                  "Tokens between the states that are kept to go on from, a multiple of 64 "
                  "(default: by cost)")
      ->check(CLI::Range(int64_t{64}, int64_t{1} << 30))
      ->type_name("TOKENS");
}

void add_sampling_flags(CLI::App& command, SamplingFlags& flags) {
  command
      .add_option("-n,--max-tokens", flags.max_tokens,
                  "Most tokens to generate (-1: until the end or the context is full)")
      ->check(CLI::Range(int64_t{-1}, int64_t{1} << 30))
      ->type_name("N");
  add_number(command, "--temp,--temperature", flags.temperature, "Temperature; 0 is greedy");
  command.add_option("--top-k", flags.top_k, "Keep the K likeliest tokens; 0 is off")
      ->type_name("K");
  add_number(command, "--top-p", flags.top_p, "Keep the likeliest tokens that hold this share");
  add_number(command, "--min-p", flags.min_p, "Drop tokens under this share of the likeliest");
  add_number(command, "--repeat-penalty", flags.repetition_penalty,
             "Divide the logits of recent tokens; 1 is off");
  command
      .add_option("--repeat-last-n", flags.penalty_window,
                  "How many last tokens --repeat-penalty sees (default 64; -1: all)")
      ->type_name("N");
  add_number(command, "--presence-penalty", flags.presence_penalty,
             "Subtract once from tokens already generated");
  add_number(command, "--frequency-penalty", flags.frequency_penalty,
             "Subtract per time a token was generated");
  add_list(command, "--logit-bias", flags.logit_bias, "ID+BIAS or ID-BIAS, e.g. 42-inf; repeatable")
      ->delimiter(',')
      ->type_name("ID+BIAS");
  command.add_option("--seed", flags.seed, "Seed of the draws (default: random)")->type_name("N");
  add_list(command, "--stop", flags.stops, "Stop before this text; repeatable")->type_name("TEXT");
  CLI::Option* const grammar =
      command.add_option("--grammar", flags.grammar_file, "Answer by this grammar (GBNF)")
          ->type_name("FILE");
  command
      .add_option("--json-schema", flags.schema_file, "Answer with JSON that this schema allows")
      ->excludes(grammar)
      ->type_name("FILE");
}

void finish_options(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (option->get_items_expected_max() == 1) {
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    }
    if (option->get_lnames().empty() || option->get_lnames().front() == "help") {
      continue;
    }
    option->envname("MINIMAX_" + upper_snake(option->get_lnames().front()));
  }
}

Device device_of(const ModelFlags& flags) {
  const std::string& name = flags.device;
  if (name == "cpu") {
    return {};
  }
  if (name == "auto") {
    return has_cuda_backend(0) ? cuda_device() : Device{};
  }
  const std::optional<int> index = cuda_index(name);
  if (!index) {
    throw UsageError{
        fmt::format("--device is \"{}\", expected auto, cpu, cuda or cuda:INDEX", name)};
  }
  check_cuda_backend(*index);
  return cuda_device(*index);
}

RunnerOptions make_runner_options(const ModelFlags& flags) {
  RunnerOptions options;
  options.device = device_of(flags);
  options.graphs = flags.cuda_graphs == "on";
  options.overlap = flags.cuda_overlap == "on";
  options.deterministic = flags.deterministic;
  options.threads = flags.threads;
  options.compute = flags.compute == "f32" ? ComputeType::kF32 : ComputeType::kBf16;
  options.kv_dtype = kv_dtype_of(flags.kv_dtype, options.compute);
  options.context_size = flags.context_size;
  options.prefill_chunk = flags.prefill_chunk;
  return options;
}

int64_t parse_bytes(const std::string& flag, const std::string& text) {
  constexpr std::string_view kSuffixes = "KMGT";
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  std::string_view rest(end);
  double unit = 1;
  if (!rest.empty() && kSuffixes.find(rest[0]) != std::string_view::npos) {
    unit = std::pow(1024.0, static_cast<double>(kSuffixes.find(rest[0]) + 1));
    rest.remove_prefix(1);
  }
  // A byte short of 2^63: what a double holds exactly is less.
  if (end == text.c_str() || !rest.empty() || !(number > 0) || number * unit >= 0x1p62) {
    throw UsageError{fmt::format(
        "{} is \"{}\", expected a number of bytes, e.g. 2000000000, 512M or 1.5G", flag, text)};
  }
  return static_cast<int64_t>(number * unit);
}

EngineOptions make_engine_options(const ModelFlags& flags, const CacheFlags& cache) {
  const RunnerOptions runner = make_runner_options(flags);
  EngineOptions options;
  options.device = runner.device;
  options.graphs = runner.graphs;
  options.overlap = runner.overlap;
  options.deterministic = runner.deterministic;
  options.threads = runner.threads;
  options.compute = runner.compute;
  options.kv_dtype = runner.kv_dtype;
  options.context_size = runner.context_size;
  options.step_tokens = runner.prefill_chunk;
  options.checkpoint_every = cache.checkpoint_every;
  if (!cache.memory.empty()) {
    options.memory_bytes = parse_bytes("--memory", cache.memory);
  }
  return options;
}

std::pair<int32_t, float> parse_logit_bias(const std::string& text) {
  const auto fail = [&] {
    return UsageError{fmt::format(
        "--logit-bias is \"{}\", expected a token id and a signed number, e.g. 42+1.5 or 42-inf",
        text)};
  };
  int32_t id = 0;
  const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (code != std::errc() || id < 0 || (*rest != '+' && *rest != '-')) {
    throw fail();
  }
  char* end = nullptr;
  const float bias = std::strtof(rest, &end);
  if (end == rest + 1 || end == rest || *end != '\0' || std::isnan(bias)) {
    throw fail();
  }
  return {id, bias};
}

SamplingParams make_sampling(const SamplingFlags& flags, const SamplingParams& defaults) {
  SamplingParams params = defaults;
  for (const std::string& text : flags.logit_bias) {
    params.logit_bias.push_back(parse_logit_bias(text));
  }
  params.temperature = flags.temperature.value_or(params.temperature);
  params.top_k = flags.top_k.value_or(params.top_k);
  params.top_p = flags.top_p.value_or(params.top_p);
  params.min_p = flags.min_p.value_or(params.min_p);
  params.repetition_penalty = flags.repetition_penalty.value_or(params.repetition_penalty);
  params.presence_penalty = flags.presence_penalty.value_or(params.presence_penalty);
  params.frequency_penalty = flags.frequency_penalty.value_or(params.frequency_penalty);
  params.penalty_window = flags.penalty_window.value_or(params.penalty_window);
  if (flags.seed) {
    params.seed = *flags.seed;
  } else {
    std::random_device device;
    // 53 bits: a JSON number that every reader keeps exact.
    params.seed = (uint64_t{device()} << 32 | device()) >> 11;
  }
  return params;
}

}  // namespace mm::cli
