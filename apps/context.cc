/// minimax context fork, list, show, verify and rm: the actions that need no model.
#include "base/error.h"
#include "context_commands.h"
#include "context_files.h"
#include "engine/context_json.h"
#include "interrupt.h"
#include "output.h"

namespace mm::cli {

namespace {

struct FileFlags {
  StoreFlags store;
  std::string new_name;
  int64_t at = -1;
};

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
    Json item = context_json(entry.name, entry.manifest);
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
    write_out(context_json(flags.store.name, manifest).dump(2) + "\n");
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
  if (flags.store.common.json) {
    write_out(context_report_json(flags.store.name, report).dump(2) + "\n");
  } else if (report.ok()) {
    write_out(fmt::format("{}: sound, {} tokens in {} segments\n", flags.store.name,
                          group_digits(report.token_count), report.segments.size()));
  } else {
    write_out(fmt::format("{}: damaged\n", flags.store.name));
    for (const std::string& problem : find_problems(report)) {
      write_out(problem + "\n");
    }
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
  fork_context(store, flags.store.name, flags.new_name,
               flags.at >= 0 ? std::optional(flags.at) : std::nullopt);
  const ContextManifest manifest = store.show(flags.new_name);
  if (flags.store.common.json) {
    write_out(context_json(flags.new_name, manifest).dump(2) + "\n");
  } else {
    write_out(fmt::format("{}: the first {} tokens of {}\n", flags.new_name,
                          group_digits(manifest.token_count()), flags.store.name));
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
