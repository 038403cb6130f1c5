/// minimax context fork, list, show, verify and rm: the actions that need no model.
#include "base/error.h"
#include "context_commands.h"
#include "context_files.h"
#include "interrupt.h"
#include "output.h"

namespace mm::cli {

namespace {

struct FileFlags {
  StoreFlags store;
  std::string new_name;
  int64_t at = -1;
};

Json manifest_json(const std::string& name, const ContextManifest& manifest) {
  const ContextNotes notes = ContextNotes::read(manifest);
  Json segments = Json::array();
  for (const SegmentEntry& segment : manifest.segments) {
    segments.push_back({{"file", segment.file},
                        {"begin", segment.begin},
                        {"end", segment.end},
                        {"has_state", segment.has_state},
                        {"bytes", segment.bytes},
                        {"checksum", to_hex(segment.checksum)}});
  }
  return {{"name", name},
          {"tokens", manifest.token_count()},
          {"bytes", manifest.bytes()},
          {"complete", notes.pending_tokens == 0},
          {"raw", notes.raw},
          {"turn_is_open", notes.turn_is_open},
          {"model_hash", manifest.binding.model_hash},
          {"fingerprint", manifest.binding.fingerprint},
          {"kv_dtype", to_string(manifest.binding.kv_dtype)},
          {"state_format", to_string(manifest.codec.format)},
          {"replay_tokens", manifest.codec.replay_tokens},
          {"backend", manifest.backend},
          {"checkpoints", manifest.checkpoints()},
          {"segments", segments},
          {"metadata", manifest.metadata}};
}

std::string status_of(const ContextManifest& manifest) {
  const ContextNotes notes = ContextNotes::read(manifest);
  return notes.pending_tokens == 0
             ? "complete"
             : fmt::format("interrupted at token {} of {}", group_digits(manifest.token_count()),
                           group_digits(notes.pending_tokens));
}

int list(const FileFlags& flags) {
  const ContextStore store = open_store(flags.store.folder);
  Json json = Json::array();
  std::string text;
  for (const ContextEntry& entry : store.list()) {
    if (!entry.problem.empty()) {
      json.push_back({{"name", entry.name}, {"problem", entry.problem}});
      text += fmt::format("{:<24} damaged: {}\n", entry.name, entry.problem);
      continue;
    }
    Json item = manifest_json(entry.name, entry.manifest);
    item.erase("segments");
    json.push_back(item);
    text += fmt::format("{:<24} {:>12} tokens {:>16} bytes  {}\n", entry.name,
                        group_digits(entry.manifest.token_count()),
                        group_digits(entry.manifest.bytes()), status_of(entry.manifest));
  }
  write_out(flags.store.common.json ? json.dump(2) + "\n" : text);
  return kDone;
}

int show(const FileFlags& flags) {
  const ContextManifest manifest = open_store(flags.store.folder).show(flags.store.name);
  if (flags.store.common.json) {
    write_out(manifest_json(flags.store.name, manifest).dump(2) + "\n");
    return kDone;
  }
  const std::vector<int64_t> checkpoints = manifest.checkpoints();
  write_out(
      fmt::format("{}: {}\n"
                  "tokens       {}\n"
                  "bytes        {} in {} segments\n"
                  "checkpoints  {}{}\n"
                  "keys, values {}\n"
                  "states       {}{}\n"
                  "model        {}\n"
                  "computed by  {}, {}\n",
                  flags.store.name, status_of(manifest), group_digits(manifest.token_count()),
                  group_digits(manifest.bytes()), manifest.segments.size(), checkpoints.size(),
                  checkpoints.empty() ? "" : ", the last at " + group_digits(checkpoints.back()),
                  to_string(manifest.binding.kv_dtype), to_string(manifest.codec.format),
                  manifest.codec.replay_tokens > 0
                      ? fmt::format(", heads that forget within {} tokens left out",
                                    manifest.codec.replay_tokens)
                      : "",
                  manifest.binding.model_hash, manifest.backend, manifest.binding.fingerprint));
  return kDone;
}

int verify(const FileFlags& flags) {
  const ContextReport report = open_store(flags.store.folder).verify(flags.store.name);
  Json problems = Json::array();
  std::string text;
  if (!report.problem.empty()) {
    problems.push_back(report.problem);
    text += report.problem + "\n";
  }
  for (const SegmentReport& segment : report.segments) {
    if (!segment.problem.empty()) {
      problems.push_back(segment.problem);
      text += segment.problem + "\n";
    }
  }
  if (flags.store.common.json) {
    write_out(Json{{"name", flags.store.name},
                   {"ok", report.ok()},
                   {"tokens", report.token_count},
                   {"usable_tokens", report.usable_tokens},
                   {"problems", problems}}
                  .dump(2) +
              "\n");
  } else if (report.ok()) {
    write_out(fmt::format("{}: sound, {} tokens in {} segments\n", flags.store.name,
                          group_digits(report.token_count), report.segments.size()));
  } else {
    write_out(fmt::format("{}: damaged\n{}", flags.store.name, text));
    if (report.usable_tokens > 0) {
      write_out(fmt::format("usable up to token {}: minimax context fork {} NEW --at {}\n",
                            group_digits(report.usable_tokens), flags.store.name,
                            report.usable_tokens));
    }
  }
  return report.ok() ? kDone : kFailed;
}

int fork(const FileFlags& flags) {
  const ContextStore store = open_store(flags.store.folder);
  const ContextManifest source = store.show(flags.store.name);
  const int64_t at = flags.at >= 0 ? flags.at : source.token_count();
  if (flags.at < 0) {
    check_complete(flags.store.name, source);
  }
  if (at > source.token_count()) {
    bad_input("context {} has {} tokens and cannot be cut at {}", flags.store.name,
              source.token_count(), at);
  }
  ContextNotes notes = ContextNotes::read(source);
  notes.pending_tokens = 0;
  if (at < source.token_count()) {
    notes.turn_is_open = true;  // it ends inside a text
  }
  ContextMetadata metadata = source.metadata;
  notes.write(metadata);
  store.fork(flags.store.name, flags.new_name, at, metadata);
  if (flags.store.common.json) {
    write_out(manifest_json(flags.new_name, store.show(flags.new_name)).dump(2) + "\n");
  } else {
    write_out(fmt::format("{}: the first {} tokens of {}\n", flags.new_name, group_digits(at),
                          flags.store.name));
  }
  return kDone;
}

int remove(const FileFlags& flags) {
  open_store(flags.store.folder).remove(flags.store.name);
  return kDone;
}

using Action = int (*)(const FileFlags&);

Command make_command(CLI::App& parent, const char* action, const char* help, Action run) {
  CLI::App* app = parent.add_subcommand(action, help);
  const auto flags = std::make_shared<FileFlags>();
  const std::string name = action;
  if (name != "list") {
    app->add_option("NAME", flags->store.name, "Name of the context")->required();
  }
  if (name == "fork") {
    app->add_option("NEW", flags->new_name, "Name of the new context")->required();
    app->add_option("--at", flags->at, "Only the first TOKEN tokens (default: all)")
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
        ->type_name("TOKEN");
  }
  app->footer(fmt::format("Example:\n  minimax context {}{}", action,
                          name == "list"   ? ""
                          : name == "fork" ? " book what_if --at 20000"
                                           : " book"));
  add_store_flags(*app, flags->store);
  return {app, [flags, run] {
            set_up_log(flags->store.common);
            return run(*flags);
          }};
}

}  // namespace

std::vector<Command> make_context_file_commands(CLI::App& parent) {
  return {make_command(parent, "fork", "Make a context from the beginning of another", fork),
          make_command(parent, "list", "All contexts", list),
          make_command(parent, "show", "What a context holds and is bound to", show),
          make_command(parent, "verify", "Check every byte of a context", verify),
          make_command(parent, "rm", "Remove a context", remove)};
}

std::vector<Command> make_context_commands(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("context", "Durable contexts: prefill once, ask often");
  app->require_subcommand(1);
  app->footer("minimax context ACTION --help shows an action's flags and examples.");
  std::vector<Command> commands = {make_context_create_command(*app),
                                   make_context_append_command(*app),
                                   make_context_ask_command(*app)};
  for (const Command& command : make_context_file_commands(*app)) {
    commands.push_back(command);
  }
  return commands;
}

}  // namespace mm::cli
