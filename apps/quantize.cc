/// minimax quantize: a smaller copy of a model folder.
#include "model/quantize.h"

#include <cmath>

#include "base/error.h"
#include "base/json_value.h"
#include "commands.h"
#include "engine/perplexity.h"
#include "interrupt.h"
#include "model/weights.h"
#include "output.h"
#include "progress.h"
#include "session.h"

namespace mm::cli {

namespace {

constexpr const char* kExamples =
    "Attention and expert matrices are quantised; norms and routers stay as they are, embedding\n"
    "and head too unless --quantize-embeddings. --ppl scores a text before and after: the whole\n"
    "text as one sequence, without a template, mean -ln p per token.\n"
    "Examples:\n"
    "  minimax quantize models/bf16 models/int8 --format int8 --quantize-embeddings\n"
    "  minimax quantize models/bf16 models/int4 --format int4 --group-size 64 --ppl heldout.txt";

/// Tokens per step while scoring; fewer when their logits would pass kMostLogitBytes.
constexpr int64_t kScoreChunk = 256;
constexpr int64_t kMostLogitBytes = int64_t{256} << 20;

struct Flags {
  CommonFlags common;
  ModelFlags model;  // device, threads, compute
  std::string in, out, ppl;
  QuantizeOptions options;
};

Perplexity score(const std::string& folder, const std::string& text, const Flags& flags,
                 const char* label) {
  RunnerOptions options = make_runner_options(flags.model);
  const Model model = move_to_device(load_model(folder), options.device, flags.common.quiet);
  const std::vector<int32_t> ids = Tokenizer::load(folder).encode(text);
  const int64_t chunk =
      std::clamp<int64_t>(kMostLogitBytes / (4 * model.config.vocab_size), 1, kScoreChunk);
  options.context_size = std::max<int64_t>(1, static_cast<int64_t>(ids.size()));
  options.prefill_chunk = chunk;
  options.max_logit_rows = chunk;
  Runner runner(model, options);
  Progress progress(progress_style(flags.common.quiet), label, "tokens");
  return measure_perplexity(runner, ids, chunk, [&](int64_t done, int64_t total) {
    progress.update(done, total);
    throw_if_interrupted();
    return true;
  });
}

QuantizeReport quantize(const Flags& flags) {
  QuantizeOptions options = flags.options;
  Progress progress(progress_style(flags.common.quiet), "quantize", "bytes");
  options.progress = [&](int64_t done, int64_t total) {
    progress.update(done, total);
    throw_if_interrupted();
  };
  ThreadPool pool(flags.model.threads > 0 ? flags.model.threads : available_cores());
  return quantize_checkpoint(flags.in, flags.out, options, pool);
}

Json report_json(const Flags& flags, const QuantizeReport& report) {
  Json classes = Json::array();
  for (const QuantizeClass& weights : report.classes) {
    classes.push_back({{"name", weights.name},
                       {"format", weights.format},
                       {"tensors", weights.tensors},
                       {"bytes_before", weights.bytes_before},
                       {"bytes_after", weights.bytes_after},
                       {"relative_rms", weights.relative_rms},
                       {"max_error", weights.max_error}});
  }
  return {{"in", flags.in},
          {"out", flags.out},
          {"format", flags.options.format},
          {"classes", classes},
          {"kept", report.kept},
          {"bytes_before", report.bytes_before},
          {"bytes_after", report.bytes_after}};
}

std::string report_table(const QuantizeReport& report) {
  constexpr double kMega = 1e6;
  const auto mega = [](int64_t bytes) { return static_cast<double>(bytes) / kMega; };
  std::string text =
      fmt::format("{:<12} {:<10} {:>8} {:>12} {:>12} {:>12} {:>12}\n", "weights", "format",
                  "tensors", "MB before", "MB after", "rel. error", "max error");
  for (const QuantizeClass& weights : report.classes) {
    text += fmt::format("{:<12} {:<10} {:>8} {:>12.3f} {:>12.3f} {:>12.3g} {:>12.3g}\n",
                        weights.name, weights.format, weights.tensors, mega(weights.bytes_before),
                        mega(weights.bytes_after), weights.relative_rms, weights.max_error);
  }
  for (const std::string& name : report.kept) {
    text += fmt::format("kept in float, its columns are no multiple of the group: {}\n", name);
  }
  return text + fmt::format("{:<12} {:<10} {:>8} {:>12.3f} {:>12.3f}\n", "all", "", "",
                            mega(report.bytes_before), mega(report.bytes_after));
}

Json score_json(const Perplexity& score) {
  return {{"tokens", score.tokens},
          {"nats_per_token", score.nats_per_token},
          {"perplexity", score.value()},
          {"seconds", score.seconds}};
}

int run(const Flags& flags) {
  set_up_log(flags.common);
  const InterruptScope scope;
  make_runner_options(flags.model);  // refuses a device or type before the long work
  const std::string text = flags.ppl.empty() ? "" : read_text_file(flags.ppl);
  const QuantizeReport report = quantize(flags);
  Json json = report_json(flags, report);
  std::string table = report_table(report);
  if (!flags.ppl.empty()) {
    const Perplexity before = score(flags.in, text, flags, "perplexity before");
    const Perplexity after = score(flags.out, text, flags, "perplexity after");
    const double change = std::expm1(after.nats_per_token - before.nats_per_token) * 100;
    json["perplexity"] = {{"file", flags.ppl},
                          {"before", score_json(before)},
                          {"after", score_json(after)},
                          {"change_percent", change}};
    table += fmt::format(
        "perplexity of {} tokens: {:.4f} ({:.5f} nats/token) before, {:.4f} "
        "({:.5f} nats/token) after, {:+.3f} %\n",
        before.tokens, before.value(), before.nats_per_token, after.value(), after.nats_per_token,
        change);
  }
  write_out(flags.common.json ? json.dump(2) + "\n" : table);
  return kDone;
}

}  // namespace

Command make_quantize_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("quantize", "Write a smaller copy of a model folder");
  const auto flags = std::make_shared<Flags>();
  app->footer(kExamples);
  app->add_option("IN", flags->in, "Model folder in float")->required()->type_name("DIR");
  app->add_option("OUT", flags->out, "Folder to write")->required()->type_name("DIR");
  app->add_option("--format", flags->options.format, "Format of matrices")
      ->check(CLI::IsMember({"int8", "fp8", "int4"}))
      ->capture_default_str();
  app->add_option("--group-size", flags->options.group_size, "Columns per scale of int4")
      ->check(CLI::IsMember({32, 64, 128}))
      ->capture_default_str();
  app->add_flag("--quantize-embeddings", flags->options.quantize_embeddings,
                "Embedding and head as int8 too");
  app->add_option("--ppl", flags->ppl, "Score this text before and after")->type_name("FILE");
  add_compute_flags(*app, flags->model);
  add_common_flags(*app, flags->common);
  return {app, [flags] { return run(*flags); }};
}

}  // namespace mm::cli
