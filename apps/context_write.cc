/// minimax context create and append: files become a durable context, resumably.
#include <chrono>

#include "context_commands.h"
#include "context_files.h"
#include "engine/context_plan.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"

namespace mm::cli {

namespace {

constexpr const char* kCreateExamples =
    "Prefills the files once, with progress; interrupted, the same command goes on where it "
    "stopped.\n"
    "Examples:\n"
    "  minimax context create book -f war_and_peace.txt\n"
    "  minimax context create library -f one.txt -f two.txt --kv-dtype int8";
constexpr const char* kAppendExamples =
    "Examples:\n"
    "  minimax context append book -f epilogue.txt\n"
    "  minimax context append notes -f today.txt -m DIR";

struct WriteFlags {
  StoreFlags store;
  ModelFlags model;
  CacheFlags cache;
  std::vector<std::string> files;
  bool raw = false;
  std::string state_format = "f32";
  int64_t drop_heads = 0;
};

std::string read_files(const std::vector<std::string>& files) {
  std::string text;
  for (const std::string& file : files) {
    text += read_text_file(file);
  }
  if (text.empty()) {
    throw UsageError{files.empty() ? "no files: give -f FILE, once or more"
                                   : "the files are empty"};
  }
  return text;
}

struct Written {
  AppendResult result;
  ContextManifest manifest;
};

Written write_planned(const WriteFlags& flags, Engine& engine, PlannedWrite& plan) {
  if (plan.is_done) {
    return {AppendResult{true, {}, 0, 0}, plan.writer.manifest()};
  }
  Progress progress(progress_style(flags.store.common.quiet), "prefill", "tokens");
  AppendOptions options;
  options.segment_tokens = flags.cache.checkpoint_every;
  options.progress = [&](int64_t done, int64_t total) { progress.update(done, total); };
  options.cancelled = interrupted;
  Written written;
  written.result =
      append_to_context(engine, plan.writer, plan.reader(), plan.tokens,
                        with_notes(std::move(options), plan.writer, plan.tokens, plan.notes));
  written.manifest = plan.writer.manifest();
  return written;
}

int show_written(const WriteFlags& flags, const Written& written) {
  const AppendResult& result = written.result;
  const int64_t tokens = written.manifest.token_count();
  if (flags.store.common.json) {
    write_out(Json{{"name", flags.store.name},
                   {"finished", result.finished},
                   {"tokens", tokens},
                   {"cached_tokens", result.usage.cached_tokens},
                   {"replayed_tokens", result.usage.replayed_tokens},
                   {"computed_tokens", result.usage.computed_tokens},
                   {"bytes", written.manifest.bytes()},
                   {"seconds", result.seconds},
                   {"write_seconds", result.write_seconds}}
                  .dump(2) +
              "\n");
  } else {
    write_out(fmt::format(
        "{}: {} tokens, {} bytes; {} computed in {:.1f} s ({:.1f} tokens/s), {:.1f} "
        "s of it writing\n",
        flags.store.name, group_digits(tokens), group_digits(written.manifest.bytes()),
        group_digits(result.usage.computed_tokens), result.seconds,
        static_cast<double>(result.usage.computed_tokens) / std::max(result.seconds, 1e-9),
        result.write_seconds));
  }
  if (!result.finished) {
    write_err(fmt::format("minimax: stopped at token {}; the same command goes on from there\n",
                          group_digits(tokens)));
    return kInterrupted;
  }
  return kDone;
}

int create(const WriteFlags& flags) {
  set_up_log(flags.store.common);
  const InterruptScope scope;
  const std::string text = read_files(flags.files);
  const ContextStore store = open_store(flags.store.folder);
  check_context_name(flags.store.name);
  const ContextModel model(flags.model, flags.raw, flags.store.common.quiet);
  const std::vector<int32_t> tokens = model.encode(model.frame ? model.frame->before + text : text);
  Engine engine(model.session.model, context_engine_options(flags.model, flags.cache,
                                                            static_cast<int64_t>(tokens.size())));
  StateFormat format = StateFormat::kF32;
  parse_state_format(flags.state_format, &format);
  PlannedWrite plan =
      plan_create(store, flags.store.name,
                  {.binding = context_binding(engine, model.model_hash),
                   .backend = engine.backend_name(),
                   .codec = make_state_codec(model.session.model, format, flags.drop_heads),
                   .metadata = {{"model", model.session.folder}}},
                  tokens, flags.raw);
  return show_written(flags, write_planned(flags, engine, plan));
}

int append(const WriteFlags& flags) {
  set_up_log(flags.store.common);
  const InterruptScope scope;
  const std::string text = read_files(flags.files);
  const ContextStore store = open_store(flags.store.folder);
  const ContextManifest manifest = store.show(flags.store.name);
  const ContextNotes notes = ContextNotes::read(manifest);
  const ContextModel model(flags.model, notes.raw, flags.store.common.quiet);
  const std::vector<int32_t> added =
      model.encode(appended_text(notes, model.frame ? &*model.frame : nullptr, text));
  Engine engine(model.session.model,
                context_engine_options(flags.model, flags.cache,
                                       std::max(manifest.token_count(), notes.pending_tokens) +
                                           static_cast<int64_t>(added.size())));
  PlannedWrite plan = plan_append(
      store, flags.store.name,
      store.open_writer(flags.store.name, context_binding(engine, model.model_hash)), added);
  return show_written(flags, write_planned(flags, engine, plan));
}

void add_write_flags(CLI::App& app, WriteFlags& flags) {
  app.add_option("NAME", flags.store.name, "Name of the context")->required();
  app.add_option("-f,--file", flags.files, "Text file; repeatable, joined in order")
      ->allow_extra_args(false)
      ->type_name("FILE");
  add_model_flags(app, flags.model);
  add_cache_flags(app, flags.cache);
  add_store_flags(app, flags.store);
}

}  // namespace

Command make_context_create_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("create", "Prefill files into a new context");
  const auto flags = std::make_shared<WriteFlags>();
  app->footer(kCreateExamples);
  add_write_flags(*app, *flags);
  app->add_flag("--raw", flags->raw, "No chat template: the text alone");
  app->add_option("--state-format", flags->state_format,
                  "Numbers of stored states; less than f32 is not exact (docs/numerics.md)")
      ->check(CLI::IsMember({"f32", "bf16", "int8"}))
      ->capture_default_str();
  app->add_option("--drop-heads", flags->drop_heads,
                  "Leave out heads that forget within TOKENS, which are then replayed; not exact")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
      ->type_name("TOKENS");
  return {app, [flags] { return create(*flags); }};
}

Command make_context_append_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("append", "Add files to the end of a context");
  const auto flags = std::make_shared<WriteFlags>();
  app->footer(kAppendExamples);
  add_write_flags(*app, *flags);
  return {app, [flags] { return append(*flags); }};
}

}  // namespace mm::cli
