/// minimax context ask: a question about a context, answered without prefilling it again.
#include <chrono>

#include "base/error.h"
#include "context_commands.h"
#include "context_files.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"

namespace mm::cli {

namespace {

constexpr const char* kExamples =
    "The context keeps its tokens; --save adds question and answer to it.\n"
    "Examples:\n"
    "  minimax context ask book \"Who is Pierre?\"\n"
    "  minimax context ask book -p \"And his father?\" --save --json";

/// Without -c and -n, room for this many generated tokens.
constexpr int64_t kDefaultRoom = 4096;

using Clock = std::chrono::steady_clock;

struct AskFlags {
  StoreFlags store;
  ModelFlags model;
  CacheFlags cache;
  SamplingFlags sampling;
  std::string words;
  TextSource question;
  bool save = false;
};

std::string read_question(const AskFlags& flags) {
  if (!flags.words.empty()) {
    if (flags.question.text_option->count() + flags.question.file_option->count() > 0) {
      throw UsageError{"the question is given twice"};
    }
    return flags.words;
  }
  const std::string text = read_text(flags.question);
  if (text.empty()) {
    throw UsageError{"the question is empty"};
  }
  return text;
}

/// One question: what is asked, what came of it and how long it took to the first token.
struct Asked {
  std::vector<int32_t> prompt;
  GenerationResult result;
  double load_seconds = 0;  ///< of pages and states
  int64_t load_bytes = 0;
  double first_token_seconds = 0;  ///< from the opened context to the first token
};

/// A context that was cut has no state where it now ends: computes and stores that, so that later
/// questions need not. Returns the tokens that were replayed for it; none if it cannot be written
/// now, which the answer does not need.
int64_t store_last_state(const AskFlags& flags, Engine& engine, const ContextStore& store,
                         const ContextBinding& binding, ContextWriter* writer) {
  try {
    std::optional<ContextWriter> own;
    if (writer == nullptr) {
      writer = &own.emplace(store.open_writer(flags.store.name, binding));
    }
    const ContextReader reader = store.open_reader(flags.store.name, binding);
    AppendOptions options;
    options.cancelled = interrupted;
    options.final_metadata = writer->manifest().metadata;
    return append_to_context(engine, *writer, &reader, reader.tokens(), options)
        .usage.replayed_tokens;
  } catch (const Error&) {
    return 0;
  }
}

Asked generate_answer(const AskFlags& flags, const ContextModel& model, Engine& engine,
                      const ContextReader& reader, const std::string& question,
                      Clock::time_point start) {
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  Asked asked;
  const ContextNotes notes = ContextNotes::read(reader.manifest());
  asked.prompt = reader.tokens();
  const std::vector<int32_t> added =
      model.encode(notes.raw ? question : model.frame->next_turn(question, notes.turn_is_open));
  asked.prompt.insert(asked.prompt.end(), added.begin(), added.end());
  GenerationRequest request = make_request(model.session, flags.sampling);
  request.prompt = asked.prompt;
  request.known_tokens = reader.token_count();
  const LoadedContext loaded(engine, reader, reader.token_count());
  asked.load_seconds = loaded.seconds();
  asked.load_bytes = loaded.bytes();
  Progress progress(progress_style(flags.store.common.quiet), "prefill", "tokens");
  GenerationCallbacks callbacks;
  callbacks.on_prefill = [&](int64_t done, int64_t total) {
    progress.update(done, total);
    if (done == total) {
      progress.finish();
      asked.first_token_seconds = seconds();
    }
    return true;
  };
  if (!flags.store.common.json) {
    callbacks.on_text = [](const std::string& piece) {
      write_out(piece);
      return true;
    };
  }
  asked.result =
      generate(engine, model.session.tokenizer, request, std::move(callbacks), interrupted);
  return asked;
}

/// Adds question and answer; the turn is the user's again.
void save_exchange(const AskFlags& flags, Engine& engine, ContextWriter& writer,
                   const ContextReader& reader, const Asked& asked, const Session& session) {
  std::vector<int32_t> tokens = asked.prompt;
  const std::vector<int32_t> answer = without_stop(asked.result.ids, session.eos_ids);
  tokens.insert(tokens.end(), answer.begin(), answer.end());
  ContextNotes notes = ContextNotes::read(writer.manifest());
  notes.turn_is_open = false;
  AppendOptions options;
  options.segment_tokens = flags.cache.checkpoint_every;
  options.final_metadata = writer.manifest().metadata;
  notes.write(options.final_metadata);
  append_to_context(engine, writer, &reader, tokens, options);
}

void show(const AskFlags& flags, const Asked& asked, const Session& session) {
  const GenerationResult& result = asked.result;
  if (flags.store.common.json) {
    Json json = result_json(result);
    json["context"] = flags.store.name;
    json["saved"] = flags.save;
    json["timings"]["context_seconds"] = asked.load_seconds;
    json["timings"]["context_bytes"] = asked.load_bytes;
    json["timings"]["first_token_seconds"] = asked.first_token_seconds;
    json["timings"]["load_seconds"] = session.load_seconds;
    write_out(json.dump(2) + "\n");
    return;
  }
  if (!result.text.empty() && result.text.back() != '\n') {
    write_out("\n");
  }
  if (!flags.store.common.quiet) {
    write_err(fmt::format("{}; first token after {:.3f} s\n", describe_usage(result.usage),
                          asked.first_token_seconds));
  }
  if (flags.store.common.verbose && !flags.store.common.quiet) {
    write_err(fmt::format("context: {} bytes read in {:.3f} s\n{}", group_digits(asked.load_bytes),
                          asked.load_seconds, describe_result(result)));
  }
}

int ask(const AskFlags& flags) {
  set_up_log(flags.store.common);
  const std::string question = read_question(flags);
  const InterruptScope scope;
  const ContextStore store = open_store(flags.store.folder);
  const ContextManifest manifest = store.show(flags.store.name);
  check_complete(flags.store.name, manifest);
  const ContextModel model(flags.model, ContextNotes::read(manifest).raw, flags.store.common.quiet);
  const int64_t room = flags.sampling.max_tokens >= 0 ? flags.sampling.max_tokens : kDefaultRoom;
  // A character is at least one byte and a token at least one character.
  const int64_t question_room = static_cast<int64_t>(question.size()) + 1024;
  Engine engine(model.session.model,
                context_engine_options(flags.model, flags.cache,
                                       manifest.token_count() + question_room + room));
  const ContextBinding binding = context_binding(engine, model.model_hash);
  std::optional<ContextWriter> writer;
  if (flags.save) {
    writer.emplace(store.open_writer(flags.store.name, binding));
  }
  const Clock::time_point start = Clock::now();
  const int64_t replayed =
      manifest.ends_in_state()
          ? 0
          : store_last_state(flags, engine, store, binding, writer ? &*writer : nullptr);
  const ContextReader reader = store.open_reader(flags.store.name, binding);
  Asked asked = generate_answer(flags, model, engine, reader, question, start);
  asked.result.usage.cached_tokens -= replayed;
  asked.result.usage.replayed_tokens += replayed;
  const bool stopped = interrupted();
  if (writer && !asked.result.ids.empty() && !stopped) {
    save_exchange(flags, engine, *writer, reader, asked, model.session);
  }
  show(flags, asked, model.session);
  return stopped ? kInterrupted : kDone;
}

}  // namespace

Command make_context_ask_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("ask", "Ask a question about a context");
  const auto flags = std::make_shared<AskFlags>();
  app->footer(kExamples);
  app->add_option("NAME", flags->store.name, "Name of the context")->required();
  app->add_option("QUESTION", flags->words, "The question");
  add_text_source(*app, flags->question, "The question");
  app->add_flag("--save", flags->save, "Add question and answer to the context");
  add_model_flags(*app, flags->model);
  add_cache_flags(*app, flags->cache);
  add_sampling_flags(*app, flags->sampling);
  add_store_flags(*app, flags->store);
  return {app, [flags] { return ask(*flags); }};
}

}  // namespace mm::cli
