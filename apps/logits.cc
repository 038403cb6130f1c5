/// minimax logits: token ids in, logits out. The parity tool.
#include <algorithm>

#include "base/error.h"
#include "base/json_value.h"
#include "commands.h"
#include "interrupt.h"
#include "model/weights.h"
#include "output.h"
#include "progress.h"
#include "session.h"
#include "tensor/safetensors.h"
#include "token_ids.h"

namespace mm::cli {

namespace {

constexpr const char* kExamples =
    "Ids are a JSON array, an .npy file, or a safetensors file (FILE:NAME names the tensor).\n"
    "The output holds one tensor, logits [T, V] f32, written as it is computed.\n"
    "Examples:\n"
    "  minimax logits -m DIR --ids ids.json --out logits.safetensors\n"
    "  minimax logits -m DIR --ids golden.safetensors:short.ids --out l.safetensors --compute f32\n"
    "  minimax logits -m DIR --ids ids.npy --out l.safetensors --last 64 --decode 8 --chunk 256";

struct Flags {
  CommonFlags common;
  ModelFlags model;
  std::string ids, out;
  int64_t last = 0;    ///< 0: all rows
  int64_t decode = 0;  ///< the last tokens by single steps
  int64_t chunk = 0;   ///< 0: chosen by memory
  bool reference = false;
};

/// Logits of one step should stay under this many bytes unless --chunk says otherwise.
constexpr int64_t kMostLogitBytes = int64_t{256} << 20;

/// Which tokens a step takes and how many of its last rows are wanted.
struct Step {
  int64_t begin = 0;
  int64_t count = 0;
  int64_t rows = 0;
};

std::vector<Step> plan_steps(int64_t tokens, int64_t wanted, int64_t chunk, int64_t decode) {
  std::vector<Step> steps;
  const int64_t prefilled = tokens - decode;
  for (int64_t begin = 0; begin < tokens;) {
    const int64_t count = begin < prefilled ? std::min(chunk, prefilled - begin) : 1;
    const int64_t end = begin + count;
    steps.push_back({begin, count, std::clamp<int64_t>(end - (tokens - wanted), 0, count)});
    begin = end;
  }
  return steps;
}

RunnerOptions runner_options(const Flags& flags, int64_t vocab_size, int64_t tokens) {
  RunnerOptions options = make_runner_options(flags.model);
  if (flags.reference) {
    if (flags.model.device.rfind("cuda", 0) == 0) {
      throw UsageError{"--reference computes on the host, --device names another; leave one out"};
    }
    options.device = {};
  }
  options.reference = flags.reference;
  options.context_size = tokens;
  const int64_t fitting = kMostLogitBytes / (vocab_size * 4);
  options.prefill_chunk =
      flags.chunk > 0 ? flags.chunk : std::clamp<int64_t>(fitting, 1, flags.model.prefill_chunk);
  options.prefill_chunk = std::min(options.prefill_chunk, tokens);
  options.max_logit_rows = options.prefill_chunk;
  return options;
}

int run(const Flags& flags) {
  set_up_log(flags.common);
  const std::vector<int32_t> ids = read_token_ids(flags.ids);
  Model model = load_model(find_model_folder(flags.model.model));
  check_token_ids(ids, model.config.vocab_size, flags.ids);
  const int64_t tokens = static_cast<int64_t>(ids.size());
  if (flags.last > tokens || flags.decode > tokens) {
    throw UsageError{fmt::format("--last {} and --decode {} must be at most the {} ids", flags.last,
                                 flags.decode, tokens)};
  }
  const int64_t wanted = flags.last > 0 ? flags.last : tokens;
  const RunnerOptions options = runner_options(flags, model.config.vocab_size, tokens);
  const int64_t chunk = options.prefill_chunk;
  model = move_to_device(std::move(model), options.device, flags.common.quiet);
  Runner runner(model, options);

  const InterruptScope scope;
  SafetensorsWriter writer(flags.out, {{"logits", DType::kF32, {wanted, model.config.vocab_size}}},
                           {});
  Progress progress(progress_style(flags.common.quiet), "logits", "tokens");
  for (const Step& step : plan_steps(tokens, wanted, chunk, flags.decode)) {
    throw_if_interrupted();
    const std::span<const int32_t> part(ids.data() + step.begin, static_cast<size_t>(step.count));
    const TensorView logits = runner.step(part, step.rows);
    if (step.rows > 0) {
      writer.append("logits", {static_cast<const std::byte*>(logits.data),
                               static_cast<size_t>(step.rows * model.config.vocab_size * 4)});
    }
    progress.update(step.begin + step.count, tokens);
  }
  progress.finish();
  writer.finish();
  const Json report = {{"out", flags.out},
                       {"tokens", tokens},
                       {"rows", wanted},
                       {"vocab_size", model.config.vocab_size},
                       {"chunk", chunk},
                       {"decode", flags.decode},
                       {"compute", flags.model.compute},
                       {"backend", runner.backend_name()}};
  if (flags.common.json) {
    write_out(report.dump(2) + "\n");
  } else if (!flags.common.quiet) {
    write_err(fmt::format("{}: logits [{}, {}] of {} tokens, {}\n", flags.out, wanted,
                          model.config.vocab_size, tokens, runner.backend_name()));
  }
  return kDone;
}

}  // namespace

Command make_logits_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("logits", "Logits of given token ids, to a file");
  const auto flags = std::make_shared<Flags>();
  app->footer(kExamples);
  add_model_flag(*app, flags->model.model);
  app->add_option("--ids", flags->ids, "Token ids")->required()->type_name("FILE");
  app->add_option("--out", flags->out, "Output file")->required()->type_name("FILE");
  app->add_option("--last", flags->last, "Only the last N rows")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  app->add_option("--chunk", flags->chunk, "Tokens per prefill step")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->type_name("N");
  app->add_option("--decode", flags->decode, "Take the last N tokens by single steps")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  app->add_flag("--reference", flags->reference, "Compute with the plain-loop oracle");
  add_compute_flags(*app, flags->model);
  add_common_flags(*app, flags->common);
  return {app, [flags] { return run(*flags); }};
}

}  // namespace mm::cli
