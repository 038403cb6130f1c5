/// minimax context create and append: files become a durable context, resumably.
#include <chrono>

#include "base/error.h"
#include "context_commands.h"
#include "context_files.h"
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

/// Computes and writes `tokens`, which begin with what the context holds.
Written write_tokens(const ContextModel& model, const WriteFlags& flags, Engine& engine,
                     ContextWriter& writer, const std::vector<int32_t>& tokens) {
  ContextNotes notes = ContextNotes::read(writer.manifest());
  notes.raw = !model.frame.has_value();
  std::optional<ContextReader> stored;
  if (writer.token_count() > 0) {
    stored.emplace(
        open_store(flags.store.folder).open_reader(flags.store.name, writer.manifest().binding));
  }
  Progress progress(progress_style(flags.store.common.quiet), "prefill", "tokens");
  AppendOptions options;
  options.segment_tokens = flags.cache.checkpoint_every;
  options.progress = [&](int64_t done, int64_t total) { progress.update(done, total); };
  options.cancelled = interrupted;
  Written written;
  written.result =
      write_context(engine, writer, stored ? &*stored : nullptr, tokens, notes, options);
  written.manifest = writer.manifest();
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
  const ContextBinding binding = context_binding(engine, model.model_hash);
  if (store.exists(flags.store.name)) {
    ContextWriter writer = store.open_writer(flags.store.name, binding);
    const ContextNotes notes = ContextNotes::read(writer.manifest());
    if (notes.pending_tokens == 0 &&
        store.open_reader(flags.store.name, binding).tokens() == tokens) {
      // An earlier run did all of it.
      return show_written(flags, {AppendResult{true, {}, 0, 0}, writer.manifest()});
    }
    if (notes.pending_tokens == 0 || notes.pending_begin != 0 ||
        notes.pending_hash != hash_tokens(tokens)) {
      bad_input(
          "context {} exists already, with other content; append to it, remove it with "
          "`minimax context rm {}`, or choose another name",
          flags.store.name, flags.store.name);
    }
    return show_written(flags, write_tokens(model, flags, engine, writer, tokens));
  }
  StateFormat format = StateFormat::kF32;
  parse_state_format(flags.state_format, &format);
  ContextWriter writer = store.create(
      flags.store.name, {.binding = binding,
                         .backend = engine.backend_name(),
                         .codec = make_state_codec(model.session.model, format, flags.drop_heads),
                         .metadata = {{"model", model.session.folder}}});
  return show_written(flags, write_tokens(model, flags, engine, writer, tokens));
}

int append(const WriteFlags& flags) {
  set_up_log(flags.store.common);
  const InterruptScope scope;
  const std::string text = read_files(flags.files);
  const ContextStore store = open_store(flags.store.folder);
  const ContextManifest manifest = store.show(flags.store.name);
  const ContextNotes notes = ContextNotes::read(manifest);
  const ContextModel model(flags.model, notes.raw, flags.store.common.quiet);
  const bool open = notes.raw || notes.turn_is_open;
  std::vector<int32_t> added = model.encode(open ? text : model.frame->between + text);
  Engine engine(model.session.model,
                context_engine_options(flags.model, flags.cache,
                                       std::max(manifest.token_count(), notes.pending_tokens) +
                                           static_cast<int64_t>(added.size())));
  const ContextBinding binding = context_binding(engine, model.model_hash);
  ContextWriter writer = store.open_writer(flags.store.name, binding);
  const ContextReader reader = store.open_reader(flags.store.name, binding);
  std::vector<int32_t> tokens = reader.tokens();
  if (notes.pending_tokens > 0) {
    tokens.resize(static_cast<size_t>(std::min(notes.pending_begin, reader.token_count())));
  }
  tokens.insert(tokens.end(), added.begin(), added.end());
  if (notes.pending_tokens > 0 && notes.pending_hash != hash_tokens(tokens)) {
    check_complete(flags.store.name, manifest);
  }
  return show_written(flags, write_tokens(model, flags, engine, writer, tokens));
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
