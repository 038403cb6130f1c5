#include "line_reader.h"

#include <histedit.h>
#include <langinfo.h>
#include <sys/stat.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>

#include "interrupt.h"
#include "output.h"

namespace mm::cli {

namespace {

constexpr int kHistoryLines = 1000;

/// libedit edits characters of the locale: in "C" it would refuse everything beyond ASCII.
void use_utf8_locale() {
  std::setlocale(LC_CTYPE, "");
  if (std::strcmp(nl_langinfo(CODESET), "UTF-8") != 0) {
    std::setlocale(LC_CTYPE, "C.UTF-8");
  }
}

}  // namespace

struct LineReader::Editor {
  EditLine* line = nullptr;
  History* history = nullptr;
  HistEvent event{};
  std::string prompt;
  bool interrupted = false;

  static Editor& of(EditLine* line) {
    void* self = nullptr;
    el_get(line, EL_CLIENTDATA, &self);
    return *static_cast<Editor*>(self);
  }
  static char* prompt_of(EditLine* line) { return of(line).prompt.data(); }

  /// Ctrl-C as a key: the terminal sends no signal while a line is edited.
  static unsigned char on_interrupt(EditLine* line, int) {
    of(line).interrupted = true;
    write_err("^C");
    return CC_NEWLINE;
  }

  explicit Editor(const std::string& history_file) {
    use_utf8_locale();
    line = el_init("minimax", stdin, stderr, stderr);
    history = history_init();
    ::history(history, &event, H_SETSIZE, kHistoryLines);
    ::history(history, &event, H_SETUNIQUE, 1);
    if (!history_file.empty()) {
      ::history(history, &event, H_LOAD, history_file.c_str());
    }
    el_set(line, EL_CLIENTDATA, this);
    el_set(line, EL_PROMPT, prompt_of);
    el_set(line, EL_EDITOR, "emacs");
    el_set(line, EL_HIST, ::history, history);
    el_set(line, EL_ADDFN, "mm-interrupt", "Throw the line away", on_interrupt);
    el_set(line, EL_BIND, "^R", "em-inc-search-prev", nullptr);
    el_source(line, nullptr);  // the user's ~/.editrc
    el_set(line, EL_SETTY, "-d", "-isig", nullptr);
    el_set(line, EL_BIND, "^C", "mm-interrupt", nullptr);
  }
  ~Editor() {
    history_end(history);
    el_end(line);
  }
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;

  Line read() {
    interrupted = false;
    int count = 0;
    const char* text = el_gets(line, &count);
    if (interrupted) {
      return {LineEnd::kInterrupt, ""};
    }
    if (text == nullptr || count <= 0) {
      return {LineEnd::kEnd, ""};
    }
    std::string result(text, static_cast<size_t>(count));
    if (result.back() == '\n') {
      result.pop_back();
    }
    return {LineEnd::kLine, result};
  }
};

LineReader::LineReader(const std::string& history_file) : history_file_(history_file) {
  if (stdin_is_terminal()) {
    editor_ = std::make_unique<Editor>(history_file);
  }
}

LineReader::~LineReader() = default;

bool LineReader::is_terminal() const {
  return editor_ != nullptr;
}

Line LineReader::read(const std::string& prompt) {
  if (editor_) {
    editor_->prompt = prompt;
    return editor_->read();
  }
  std::string text;
  if (!std::getline(std::cin, text)) {
    throw_if_interrupted();
    return {LineEnd::kEnd, ""};
  }
  return {LineEnd::kLine, text};
}

void LineReader::remember(const std::string& text) {
  if (!editor_ || text.empty()) {
    return;
  }
  history(editor_->history, &editor_->event, H_ENTER, text.c_str());
  if (!history_file_.empty() &&
      history(editor_->history, &editor_->event, H_SAVE, history_file_.c_str()) >= 0) {
    ::chmod(history_file_.c_str(), S_IRUSR | S_IWUSR);  // what people ask is theirs
  }
}

std::string default_history_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  std::filesystem::path folder;
  if (state != nullptr && *state != '\0') {
    folder = state;
  } else if (home != nullptr && *home != '\0') {
    folder = std::filesystem::path(home) / ".local/state";
  } else {
    return "";
  }
  folder /= "minimax";
  std::error_code code;
  std::filesystem::create_directories(folder, code);
  return code ? "" : (folder / "chat_history").string();
}

}  // namespace mm::cli
