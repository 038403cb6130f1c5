/// minimax bench: speed as a share of what the machine can do.
///
/// Shared machines change speed from second to second, so every measurement stands beside the two
/// ceilings measured right before it, and the share is the median of the pairs' own ratios.
#include <algorithm>
#include <chrono>
#include <functional>
#include <sstream>

#include "base/error.h"
#include "base/json_value.h"
#include "base/mapped_file.h"
#include "base/output_file.h"
#include "base/rng.h"
#include "base/version.h"
#include "bench_ceilings.h"
#include "bench_report.h"
#include "commands.h"
#include "engine/step_cost.h"
#include "interrupt.h"
#include "model/summary.h"
#include "model/weights.h"
#include "ops/cpu/backend.h"
#include "output.h"
#include "progress.h"
#include "session.h"

namespace mm::cli {

namespace {

constexpr const char* kExamples =
    "Prefills and decodes random ids. Bytes per token are what must be read: weights of the "
    "active\n"
    "experts, one embedding row, the head, states, tails and keys; FLOPs are those of products\n"
    "with weights and of the causal half of attention. Each pair measures both ceilings, then the\n"
    "model; percentages are medians of the pairs' own ratios.\n"
    "Examples:\n"
    "  minimax bench\n"
    "  minimax bench -m DIR -p 512,4096 -n 128 --depth 1024,8192\n"
    "  minimax bench --config config.json --format int8 -t 2 --json --out result.json";

/// A sample shorter than this is repeated until it is long enough to trust the clock.
constexpr double kSampleSeconds = 0.4;
constexpr int64_t kFirstTokenPrompt = 16;

struct Flags {
  CommonFlags common;
  ModelFlags model;
  std::string config, out;
  RandomModelOptions random;
  std::vector<int64_t> prompts = {512};
  int64_t decode = 128;
  std::vector<int64_t> depths = {0};
  int repetitions = 5;
};

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Ids that spread over vocabulary and experts.
std::vector<int32_t> random_ids(int64_t count, int64_t vocab_size) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) {
    const double u = philox_uniform(1, 0, static_cast<uint64_t>(i));
    ids.push_back(static_cast<int32_t>(u * static_cast<double>(vocab_size)));
  }
  return ids;
}

/// A model, a runner for it and the ceilings of the machine.
class Bench {
 public:
  Bench(const Model& model, Runner& runner, const RunnerOptions& options, const Flags& flags)
      : model_(model),
        runner_(runner),
        options_(options),
        flags_(flags),
        summary_(summarize(model)),
        ceilings_(make_ceilings(options.device, runner.pool())),
        ids_(random_ids(runner.context_size(), model.config.vocab_size)) {}

  BenchRow prefill(int64_t tokens) {
    const StepCost cost =
        prefill_cost(model_.config, summary_, tokens, std::min(tokens, options_.prefill_chunk));
    BenchRow row{
        .kind = "prefill",
        .tokens = tokens,
        .bytes_per_token = static_cast<double>(cost.bytes()) / static_cast<double>(tokens),
        .flops_per_token = static_cast<double>(cost.flops()) / static_cast<double>(tokens)};
    runner_.reset();
    feed(std::min(tokens, options_.prefill_chunk));  // brings the weights into memory
    measure(row, [&] {
      runner_.reset();
      row.steps.clear();
      const Clock::time_point start = Clock::now();
      feed(tokens, [&](int64_t done) { row.steps.push_back({done, seconds_since(start)}); });
      return tokens;
    });
    if (row.steps.size() == 1)
      row.steps.clear();
    return row;
  }

  BenchRow decode(int64_t depth) {
    const CacheTypes types{.tail = to_dtype(options_.compute), .kv = options_.kv_dtype};
    // The middle of a sample stands for all of it.
    const StepCost cost = decode_cost(model_.config, summary_, depth + flags_.decode / 2, types);
    BenchRow row{.kind = "decode",
                 .tokens = flags_.decode,
                 .depth = depth,
                 .bytes_per_token = static_cast<double>(cost.bytes()),
                 .flops_per_token = static_cast<double>(cost.flops())};
    const auto work = [&] {
      for (int64_t i = 0; i < flags_.decode; ++i) {
        feed(1);
      }
      return flags_.decode;
    };
    go_to_depth(row);
    work();  // brings the weights into memory
    measure(row, work);
    return row;
  }

  /// What stands behind the product ceiling.
  std::string product_by() const { return ceilings_->product_by(); }

 private:
  void feed(int64_t tokens, const std::function<void(int64_t done)>& after_step = {}) {
    throw_if_interrupted();
    const size_t begin = static_cast<size_t>(runner_.position());
    runner_.prefill(std::span(ids_).subspan(begin, static_cast<size_t>(tokens)),
                    [&](int64_t done, int64_t) {
                      if (after_step)
                        after_step(done);
                      return !interrupted();
                    });
    throw_if_interrupted();
  }

  /// Empties the sequence and fills it to the depth, outside of any measurement.
  void go_to_depth(const BenchRow& row) {
    runner_.reset();
    if (row.depth > 0) {
      feed(row.depth);
    }
  }

  /// Alternates ceilings and work, which is warm; `work` returns the tokens it did.
  template <typename Work>
  void measure(BenchRow& row, Work&& work) {
    const bool decodes = row.kind == "decode";
    Progress progress(progress_style(flags_.common.quiet),
                      fmt::format("{} {}", row.kind, row.tokens), "pairs");
    for (int repetition = 0; repetition < flags_.repetitions; ++repetition) {
      Pair pair;
      pair.read_ceiling = ceilings_->read();
      pair.copy_ceiling = ceilings_->copy();
      pair.product_ceiling = ceilings_->product();
      double seconds = 0;
      int64_t tokens = 0;
      while (seconds < kSampleSeconds) {
        if (decodes) {
          go_to_depth(row);
        }
        const Clock::time_point start = Clock::now();
        tokens += work();
        seconds += seconds_since(start);
      }
      pair.tokens_per_second = static_cast<double>(tokens) / seconds;
      row.pairs.push_back(pair);
      progress.update(repetition + 1, flags_.repetitions);
    }
  }

  const Model& model_;
  Runner& runner_;
  const RunnerOptions& options_;
  const Flags& flags_;
  ModelSummary summary_;
  std::unique_ptr<BenchCeilings> ceilings_;
  std::vector<int32_t> ids_;
};

Model make_model(const Flags& flags) {
  if (flags.config.empty()) {
    return load_model(find_model_folder(flags.model.model));
  }
  const ConfigFile file = read_config(MappedFile(flags.config).text(), flags.config);
  return make_random_model(file.model, flags.random);
}

/// Seconds until a short prompt's first token is known, after loading.
double first_token_seconds(const Model& model, RunnerOptions options) {
  options.context_size = kFirstTokenPrompt;
  const Clock::time_point start = Clock::now();
  Runner runner(model, options);
  runner.prefill(random_ids(kFirstTokenPrompt, model.config.vocab_size));
  return seconds_since(start);
}

RunnerOptions bench_options(const Flags& flags) {
  RunnerOptions options = make_runner_options(flags.model);
  int64_t longest = *std::max_element(flags.depths.begin(), flags.depths.end()) + flags.decode;
  for (const int64_t prompt : flags.prompts) {
    longest = std::max(longest, prompt);
  }
  options.context_size = std::max<int64_t>(longest, 1);
  options.prefill_chunk = std::min(options.prefill_chunk, options.context_size);
  if (options.deterministic) {
    options.prefill_chunk =
        (options.prefill_chunk + kBlockTokens - 1) / kBlockTokens * kBlockTokens;
  }
  return options;
}

Json flags_json(const Flags& flags, const RunnerOptions& options, int threads) {
  return {{"model", flags.config.empty() ? flags.model.model : ""},
          {"config", flags.config},
          {"format", flags.config.empty() ? "" : flags.random.format},
          {"device", flags.model.device},
          {"cuda_graphs", flags.model.cuda_graphs},
          {"cuda_overlap", flags.model.cuda_overlap},
          {"deterministic", flags.model.deterministic},
          {"threads", threads},
          {"compute", flags.model.compute},
          {"kv_dtype", to_string(options.kv_dtype)},
          {"prefill_chunk", options.prefill_chunk},
          {"repetitions", flags.repetitions}};
}

/// Bytes of a run.
struct Memory {
  int64_t planned = 0;  ///< weights, workspaces, states and pages
  int64_t used = 0;     ///< of an accelerator, by everything in this run; 0 on the host
};

struct Measured {
  Memory memory;
  double load_seconds = 0;
  double first_token_seconds = 0;
  std::string product_by;
  std::vector<BenchRow> rows;
};

Json report(const Flags& flags, const RunnerOptions& options, const Runner& runner,
            const Measured& measured) {
  const ModelSummary summary = summarize(runner.model());
  Json results = Json::array();
  for (const BenchRow& row : measured.rows) {
    results.push_back(to_json(row));
  }
  return {{"version", version_string()},
          {"commit", commit()},
          {"device",
           {{"processor", processor_name()},
            {"cores", available_cores()},
            {"features", cpu_features()},
            {"backend", runner.backend_name()},
            {"product_ceiling", measured.product_by}}},
          {"flags", flags_json(flags, options, runner.threads())},
          {"model",
           {{"parameters", summary.parameters},
            {"active_parameters", summary.active_parameters},
            {"bytes", summary.bytes}}},
          {"memory", {{"planned", measured.memory.planned}, {"used", measured.memory.used}}},
          {"load_seconds", measured.load_seconds},
          {"first_token_seconds", measured.first_token_seconds},
          {"results", results}};
}

int run(const Flags& flags) {
  set_up_log(flags.common);
  const InterruptScope scope;
  const RunnerOptions options = bench_options(flags);
  Measured measured;
  const bool on_host = options.device.is_host();
  const int64_t free_before = on_host ? 0 : device_free_bytes(options.device);
  const Clock::time_point start = Clock::now();
  const Model model = move_to_device(make_model(flags), options.device, flags.common.quiet);
  measured.load_seconds = seconds_since(start);
  measured.first_token_seconds = first_token_seconds(model, options);
  Runner runner(model, options);
  Bench bench(model, runner, options, flags);
  for (const int64_t prompt : flags.prompts) {
    if (prompt > 0) {
      measured.rows.push_back(bench.prefill(prompt));
    }
  }
  if (flags.decode > 0) {
    for (const int64_t depth : flags.depths) measured.rows.push_back(bench.decode(depth));
  }
  measured.memory = {.planned = summarize(model).bytes + runner.workspace_bytes(),
                     .used = on_host ? 0 : free_before - device_free_bytes(options.device)};
  measured.product_by = bench.product_by();
  const std::string json = report(flags, options, runner, measured).dump(2) + "\n";
  if (!flags.out.empty()) {
    write_text_file(flags.out, json);
  }
  if (flags.common.json) {
    write_out(json);
  } else {
    write_out(
        fmt::format("{}, {}, commit {}\nproduct ceiling: {}\n"
                    "load {:.3f} s, first token of {} after {:.3f} s\n{}",
                    processor_name(), runner.backend_name(), commit(), measured.product_by,
                    measured.load_seconds, kFirstTokenPrompt, measured.first_token_seconds,
                    format_table(measured.rows)));
  }
  return kDone;
}

}  // namespace

Command make_bench_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("bench", "Speed, as a share of what the machine can do");
  const auto flags = std::make_shared<Flags>();
  app->footer(kExamples);
  add_model_flag(*app, flags->model.model);
  app->add_option("--config", flags->config,
                  "Instead of --model: random weights in the shape of this config.json")
      ->type_name("FILE");
  app->add_option("--format", flags->random.format, "Format of random weights")
      ->check(CLI::IsMember({"bf16", "f32", "int8", "fp8", "int4"}))
      ->capture_default_str();
  app->add_option("--group-size", flags->random.group_size, "Columns per scale of int4")
      ->check(CLI::IsMember({32, 64, 128}))
      ->capture_default_str();
  app->add_flag("--quantize-embeddings", flags->random.quantize_embeddings,
                "Random embedding and head as int8");
  app->add_option("-p,--prompt-tokens", flags->prompts, "Prompt lengths, e.g. 512,4096; 0: none")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->type_name("N,N")
      ->capture_default_str();
  app->add_option("-n,--gen-tokens", flags->decode, "Tokens to decode; 0: none")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--depth", flags->depths, "Tokens in the sequence before decoding")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 29))
      ->type_name("N,N")
      ->capture_default_str();
  app->add_option("-r,--repetitions", flags->repetitions, "Pairs to measure")
      ->check(CLI::Range(1, 1000))
      ->type_name("N")
      ->capture_default_str();
  app->add_option("--out", flags->out, "Write the JSON here too")->type_name("FILE");
  app->add_option("--prefill-chunk", flags->model.prefill_chunk, "Prompt tokens per step")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->type_name("N")
      ->capture_default_str();
  add_compute_flags(*app, flags->model);
  add_deterministic_flag(*app, flags->model);
  add_common_flags(*app, flags->common);
  return {app, [flags] { return run(*flags); }};
}

}  // namespace mm::cli
