/// minimax run: one prompt, one streamed answer.
#include <chrono>

#include "base/error.h"
#include "base/json_value.h"
#include "commands.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "session.h"

namespace mm::cli {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  minimax run -p \"Tell me a story about a dog.\"\n"
    "  minimax run -m models/mini -f question.txt -n 200 --temp 0.7 --seed 1\n"
    "  echo \"What is rain?\" | minimax run --system \"Answer briefly.\"\n"
    "  minimax run --raw -p \"Once upon a time\" --temp 0 --json";

/// Without -c and -n, room for this many generated tokens.
constexpr int64_t kDefaultRoom = 4096;

struct Flags {
  CommonFlags common;
  ModelFlags model;
  SamplingFlags sampling;
  TextSource prompt;
  std::string system;
  bool raw = false;
  bool special = false;
};

/// A last newline is how files and pipes end; it is no part of a prompt.
std::string read_prompt(const Flags& flags) {
  std::string text = read_text(flags.prompt);
  const bool typed = flags.prompt.text_option->count() > 0;
  if (!typed && !text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  if (text.empty()) {
    throw UsageError{"the prompt is empty"};
  }
  return text;
}

std::vector<int32_t> encode_prompt(const Session& session, const Flags& flags,
                                   const std::string& text) {
  if (flags.raw) {
    return session.tokenizer.encode(text);
  }
  std::vector<ChatMessage> messages;
  if (!flags.system.empty()) {
    messages.push_back({"system", flags.system});
  }
  messages.push_back({"user", text});
  return PromptBuilder(session.folder, session.tokenizer).encode(messages);
}

Json run_json(const Session& session, const GenerationRequest& request, const Engine& engine,
              const GenerationResult& result) {
  Json json = result_json(result);
  json["seed"] = request.sampling.seed;
  json["model"] = session.folder;
  json["backend"] = engine.backend_name();
  json["timings"]["load_seconds"] = session.load_seconds;
  return json;
}

GenerationResult generate_shown(Engine& engine, const Session& session,
                                const GenerationRequest& request, const CommonFlags& flags) {
  Progress progress(progress_style(flags.quiet), "prefill", "tokens");
  GenerationCallbacks callbacks;
  callbacks.on_prefill = [&](int64_t done, int64_t total) {
    progress.update(done, total);
    if (done == total) {
      progress.finish();
    }
    return true;
  };
  if (!flags.json) {
    callbacks.on_text = [](const std::string& piece) {
      write_out(piece);
      return true;
    };
  }
  return generate(engine, session.tokenizer, request, std::move(callbacks), interrupted);
}

int run(const Flags& flags) {
  set_up_log(flags.common);
  EngineOptions options = make_engine_options(flags.model, {});
  const std::string text = read_prompt(flags);
  const InterruptScope scope;
  const Session session = load_session(flags.model, flags.common.quiet);
  GenerationRequest request = make_request(session, flags.sampling);
  request.show_special = flags.special;
  request.prompt = encode_prompt(session, flags, text);
  const int64_t prompt = static_cast<int64_t>(request.prompt.size());
  if (options.context_size == 0) {
    const int64_t room = request.max_tokens >= 0 ? request.max_tokens : kDefaultRoom;
    options.context_size = prompt + room;
  }
  options.step_tokens = std::min(options.step_tokens, std::max<int64_t>(prompt, 1));
  options.reuse = false;  // nobody comes back
  Engine engine(session.model, options);
  const GenerationResult result = generate_shown(engine, session, request, flags.common);
  if (flags.common.json) {
    write_out(run_json(session, request, engine, result).dump(2) + "\n");
  } else if (!result.text.empty() && result.text.back() != '\n') {
    write_out("\n");
  }
  if (flags.common.verbose && !flags.common.quiet) {
    write_err(fmt::format("{}, {}, seed {}, loaded in {:.3f} s\n{}", session.folder,
                          engine.backend_name(), request.sampling.seed, session.load_seconds,
                          describe_result(result)));
  }
  return interrupted() ? kInterrupted : kDone;
}

}  // namespace

Command make_run_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("run", "Answer one prompt, streamed");
  const auto flags = std::make_shared<Flags>();
  app->footer(kExamples);
  add_text_source(*app, flags->prompt, "The prompt");
  app->add_option("--system", flags->system, "System message")->type_name("TEXT");
  app->add_flag("--raw", flags->raw, "No chat template: continue the text as it stands");
  app->add_flag("--special", flags->special, "Show special tokens in the answer");
  add_model_flags(*app, flags->model);
  add_deterministic_flag(*app, flags->model);
  add_sampling_flags(*app, flags->sampling);
  add_common_flags(*app, flags->common);
  return {app, [flags] { return run(*flags); }};
}

}  // namespace mm::cli
