/// Lines typed by a person, or read from a pipe.
#pragma once

#include <memory>
#include <optional>
#include <string>

namespace mm::cli {

/// What became of asking for a line.
enum class LineEnd {
  kLine,       ///< a line, perhaps empty
  kInterrupt,  ///< Ctrl-C: the line was thrown away
  kEnd         ///< Ctrl-D on an empty line, or the end of the input
};

struct Line {
  LineEnd end = LineEnd::kLine;
  std::string text;  ///< without its newline
};

/// Reads lines from stdin: on a terminal with editing and history (libedit), plainly otherwise.
/// Prompts go to stderr, and only to terminals.
class LineReader {
 public:
  /// `history_file` is read now and written after each line that remember() keeps; empty: none. A
  /// history that cannot be read or written is no error.
  explicit LineReader(const std::string& history_file);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  Line read(const std::string& prompt);
  void remember(const std::string& text);
  bool is_terminal() const;

 private:
  struct Editor;
  std::unique_ptr<Editor> editor_;  ///< null when stdin is no terminal
  std::string history_file_;
};

/// $XDG_STATE_HOME/minimax/chat_history or ~/.local/state/minimax/chat_history, its folder made;
/// empty if neither variable is set or the folder cannot be made.
std::string default_history_file();

}  // namespace mm::cli
