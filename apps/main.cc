/// minimax: one program, one file per subcommand.
#include <fmt/format.h>

#include <exception>
#include <new>

#include "base/error.h"
#include "base/log.h"
#include "base/version.h"
#include "commands.h"
#include "interrupt.h"
#include "ops/cpu/backend.h"
#include "options.h"
#include "output.h"

namespace mm::cli {
namespace {

std::string version_text() {
#ifdef MM_WITH_CUDA
  constexpr const char* kCuda = "yes";
#else
  constexpr const char* kCuda = "no";
#endif
  return fmt::format("minimax {}\ncommit {}\ncpu {}\ncuda {}", version_string(), commit(),
                     cpu_features(), kCuda);
}

/// One line on stderr, whatever the message held.
int fail(int code, std::string message) {
  for (char& c : message) {
    c = c == '\n' || c == '\r' ? ' ' : c;
  }
  write_err("minimax: " + message + "\n");
  return code;
}

int run_command(const Command& command) {
  try {
    return command.run();
  } catch (const UsageError& error) {
    const std::string parent = command.app->get_parent()->get_name();
    return fail(kWrongUsage, fmt::format("{} (see {}{} {} --help)", error.message,
                                         parent == "minimax" ? "" : "minimax ", parent,
                                         command.app->get_name()));
  } catch (const Error& error) {
    return fail(kFailed, error.what());
  } catch (const Interrupted&) {
    return kInterrupted;
  } catch (const OutputClosed&) {
    return kDone;
  } catch (const std::bad_alloc&) {
    return fail(kFailed, "out of memory");
  } catch (const std::exception& error) {
    return fail(kFailed, error.what());
  }
}

std::vector<Command> make_commands(CLI::App& app) {
  std::vector<Command> commands = {
      make_run_command(app),         make_chat_command(app),        make_serve_command(app),
      make_info_command(app),        make_logits_command(app),      make_tokenize_command(app),
      make_detokenize_command(app),  make_quantize_command(app),    make_bench_command(app),
      make_bench_serve_command(app), make_completions_command(app),
  };
  for (const Command& command : make_context_commands(app)) {
    commands.push_back(command);
  }
  for (const Command& command : commands) {
    finish_options(*command.app);
    // Makes CLI11 read the environment for the chosen command only.
    command.app->parse_complete_callback([] {});
  }
  return commands;
}

/// The innermost command that was named, and the words before its name.
std::pair<const CLI::App*, std::string> last_parsed(const CLI::App& app) {
  const CLI::App* last = &app;
  std::string path;
  while (!last->get_subcommands().empty()) {
    path += (path.empty() ? "" : " ") + last->get_name();
    last = last->get_subcommands().front();
  }
  return {last, path.empty() ? app.get_name() : path};
}

/// Parses and runs. CLI11 throws for --help and --version too.
int run_program(int argc, char** argv) {
  CLI::App app("Native engine for the MiniMax-01 model family.", "minimax");
  app.footer("minimax COMMAND --help shows a command's flags and examples.");
  app.set_version_flag("--version", version_text, "Version, commit, CPU features, CUDA");
  app.require_subcommand(1);
  const std::vector<Command> commands = make_commands(app);
  const auto chosen = [&]() -> const Command* {
    for (const Command& command : commands) {
      if (command.app->parsed()) {
        return &command;
      }
    }
    return nullptr;
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const auto [last, path] = last_parsed(app);
    write_out(last->help(path));
    return kDone;
  } catch (const CLI::CallForVersion& version) {
    write_out(std::string(version.what()) + "\n");
    return kDone;
  } catch (const CLI::ParseError& error) {
    const auto [last, path] = last_parsed(app);
    const std::string command = last == &app ? "" : " " + last->get_name();
    return fail(kWrongUsage, fmt::format("{} (see {}{} --help)", error.what(), path, command));
  }
  return run_command(*chosen());
}

}  // namespace
}  // namespace mm::cli

int main(int argc, char** argv) {
  mm::cli::install_interrupt_handler();
  mm::cli::ignore_closed_pipes();
  try {
    return mm::cli::run_program(argc, argv);
  } catch (const mm::cli::OutputClosed&) {
    return mm::cli::kDone;
  } catch (const std::exception& error) {
    return mm::cli::fail(mm::cli::kFailed, error.what());
  }
}
