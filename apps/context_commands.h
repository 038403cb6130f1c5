/// The actions of `minimax context`.
#pragma once

#include "commands.h"

namespace mm::cli {

Command make_context_create_command(CLI::App& parent);
Command make_context_append_command(CLI::App& parent);
Command make_context_ask_command(CLI::App& parent);
/// fork, list, show, verify and rm: those that need no model.
std::vector<Command> make_context_file_commands(CLI::App& parent);

}  // namespace mm::cli
