/// The subcommands: one file each.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace mm::cli {

/// A subcommand: its parser, and what runs after parsing and returns the exit code.
struct Command {
  CLI::App* app;
  std::function<int()> run;
};

Command make_run_command(CLI::App& parent);
Command make_chat_command(CLI::App& parent);
Command make_serve_command(CLI::App& parent);
Command make_info_command(CLI::App& parent);
Command make_logits_command(CLI::App& parent);
Command make_tokenize_command(CLI::App& parent);
Command make_detokenize_command(CLI::App& parent);
Command make_quantize_command(CLI::App& parent);
Command make_bench_command(CLI::App& parent);
Command make_bench_serve_command(CLI::App& parent);
Command make_completions_command(CLI::App& parent);
/// `minimax context ACTION`: one command an action.
std::vector<Command> make_context_commands(CLI::App& parent);

}  // namespace mm::cli
