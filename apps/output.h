/// Reading what the user gives, writing results to stdout.
#pragma once

#include <string>
#include <string_view>

namespace mm::cli {

/// Thrown when the reader of our stdout has gone away (`minimax … | head`): main ends quietly.
struct OutputClosed {};

/// Writes to stdout at once, whole. Throws OutputClosed on a closed pipe, kIo otherwise (a full
/// disk must not look like success).
void write_out(std::string_view text);

/// Writes to stderr; failures are ignored, there is nowhere to report them.
void write_err(std::string_view text);

/// Makes writes to closed pipes return errors instead of killing the process.
void ignore_closed_pipes();

/// The whole of stdin. Throws kIo; Interrupted on Ctrl-C.
std::string read_stdin();

/// The whole of a file. Throws kNotFound, kBadInput for a folder, kIo.
std::string read_text_file(const std::string& path);

bool stdin_is_terminal();
bool stderr_is_terminal();

}  // namespace mm::cli
