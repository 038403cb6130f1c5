/// minimax completions: shell completion, generated from the program's own description of its
/// flags, so that no flag can be forgotten.
#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "commands.h"
#include "interrupt.h"
#include "output.h"

namespace mm::cli {

namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  minimax completions bash > ~/.local/share/bash-completion/completions/minimax\n"
    "  minimax completions zsh > \"${fpath[1]}/_minimax\"\n"
    "  minimax completions fish > ~/.config/fish/completions/minimax.fish";

/// What an option's value can be, as far as a shell can help.
enum class ValueKind { kNone, kWords, kFile, kFolder, kOther };

struct Flag {
  std::vector<std::string> names;  ///< with their dashes
  std::string help;
  ValueKind kind = ValueKind::kNone;
  std::vector<std::string> words;  ///< for kWords
};

struct Subcommand {
  std::string name;
  std::string help;
  std::vector<Flag> flags;
  Flag positional;  ///< what stands without a flag
};

/// The words of a set validator's description, "TYPE:{a,b}".
std::vector<std::string> words_of(const std::string& type) {
  const size_t open = type.find('{');
  const size_t close = type.find('}');
  std::vector<std::string> words;
  if (open != std::string::npos && close != std::string::npos) {
    std::istringstream list(type.substr(open + 1, close - open - 1));
    for (std::string word; std::getline(list, word, ',');) {
      words.push_back(word);
    }
  }
  return words;
}

Flag describe(const CLI::Option& option) {
  Flag flag;
  for (const std::string& name : option.get_snames()) {
    flag.names.push_back("-" + name);
  }
  for (const std::string& name : option.get_lnames()) {
    flag.names.push_back("--" + name);
  }
  flag.help = option.get_description();
  const std::string type = option.get_type_name();
  flag.words = words_of(type);
  if (option.get_items_expected_max() == 0) {
    flag.kind = ValueKind::kNone;
  } else if (!flag.words.empty()) {
    flag.kind = ValueKind::kWords;
  } else if (type.rfind("FILE", 0) == 0) {
    flag.kind = ValueKind::kFile;
  } else {
    flag.kind = type.rfind("DIR", 0) == 0 ? ValueKind::kFolder : ValueKind::kOther;
  }
  return flag;
}

bool has_flag(const Subcommand& command, const Flag& flag) {
  return std::any_of(command.flags.begin(), command.flags.end(),
                     [&](const Flag& known) { return known.names == flag.names; });
}

void add_options(const CLI::App& app, Subcommand& described) {
  for (const CLI::Option* option : app.get_options()) {
    const Flag flag = describe(*option);
    if (option->get_positional()) {
      described.positional = flag;
    }
    if (!flag.names.empty() && !has_flag(described, flag)) {
      described.flags.push_back(flag);
    }
  }
}

/// A command with actions of its own offers their names, and the flags of all of them.
std::vector<Subcommand> describe_commands(CLI::App& app) {
  std::vector<Subcommand> commands;
  for (CLI::App* command : app.get_subcommands({})) {
    Subcommand described{command->get_name(), command->get_description(), {}, {}};
    add_options(*command, described);
    std::vector<std::string> actions;
    for (const CLI::App* action : command->get_subcommands({})) {
      actions.push_back(action->get_name());
      add_options(*action, described);
    }
    if (!actions.empty()) {
      described.positional = {{}, "action", ValueKind::kWords, actions};
    }
    commands.push_back(described);
  }
  return commands;
}

std::string join(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : separator) + word;
  }
  return text;
}

std::string command_names(const std::vector<Subcommand>& commands) {
  std::vector<std::string> names;
  for (const Subcommand& command : commands) {
    names.push_back(command.name);
  }
  return join(names, " ");
}

std::string bash_values(const Flag& flag) {
  switch (flag.kind) {
    case ValueKind::kWords:
      return fmt::format("COMPREPLY=($(compgen -W \"{}\" -- \"$word\"))", join(flag.words, " "));
    case ValueKind::kFile:
      return "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$word\"))";
    case ValueKind::kFolder:
      return "compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- \"$word\"))";
    default:
      return "COMPREPLY=()";
  }
}

std::string bash_script(const std::vector<Subcommand>& commands) {
  std::string text =
      "# bash completion for minimax\n"
      "_minimax() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n";
  text += fmt::format("    COMPREPLY=($(compgen -W \"{} --help --version\" -- \"$word\"))\n",
                      command_names(commands));
  text += "    return\n  fi\n  case \"${COMP_WORDS[1]}\" in\n";
  for (const Subcommand& command : commands) {
    std::vector<std::string> all;
    text += fmt::format("    {})\n      case \"$previous\" in\n", command.name);
    for (const Flag& flag : command.flags) {
      all.insert(all.end(), flag.names.begin(), flag.names.end());
      if (flag.kind != ValueKind::kNone) {
        text += fmt::format("        {}) {}; return;;\n", join(flag.names, "|"), bash_values(flag));
      }
    }
    text += fmt::format(
        "      esac\n"
        "      case \"$word\" in\n"
        "        -*) COMPREPLY=($(compgen -W \"{}\" -- \"$word\"));;\n"
        "        *) {};;\n"
        "      esac;;\n",
        join(all, " "), bash_values(command.positional));
  }
  return text + "  esac\n}\ncomplete -F _minimax minimax\n";
}

/// Text between single quotes of a shell, with `extra` characters behind backslashes.
std::string quoted(const std::string& text, const std::string& extra = "") {
  std::string result;
  for (const char c : text) {
    if (c == '\'') {
      result += "'\\''";
    } else {
      result += extra.find(c) != std::string::npos ? std::string("\\") + c : std::string(1, c);
    }
  }
  return result;
}

std::string zsh_values(const Flag& flag) {
  switch (flag.kind) {
    case ValueKind::kWords:
      return ":value:(" + join(flag.words, " ") + ")";
    case ValueKind::kFile:
      return ":file:_files";
    case ValueKind::kFolder:
      return ":folder:_files -/";
    case ValueKind::kOther:
      return ":value: ";
    case ValueKind::kNone:
      break;
  }
  return "";
}

std::string zsh_script(const std::vector<Subcommand>& commands) {
  std::string text =
      "#compdef minimax\n"
      "_minimax() {\n"
      "  if (( CURRENT == 2 )); then\n"
      "    local -a commands=(\n";
  for (const Subcommand& command : commands) {
    text += fmt::format("      '{}:{}'\n", command.name, quoted(command.help, ":"));
  }
  text +=
      "    )\n    _describe command commands\n    return\n  fi\n"
      "  local chosen=${words[2]}\n"
      "  shift words\n  (( CURRENT-- ))\n"
      "  case $chosen in\n";
  for (const Subcommand& command : commands) {
    text += fmt::format("    {}) _arguments", command.name);
    for (const Flag& flag : command.flags) {
      for (const std::string& name : flag.names) {
        text +=
            fmt::format(" \\\n      '*{}[{}]{}'", name, quoted(flag.help, "[]:"), zsh_values(flag));
      }
    }
    if (command.positional.kind != ValueKind::kNone) {
      text += " \\\n      '*:" + zsh_values(command.positional).substr(1) + "'";
    }
    text += ";;\n";
  }
  return text + "  esac\n}\n_minimax \"$@\"\n";
}

std::string fish_flag(const std::string& condition, const Flag& flag) {
  std::string text = "complete -c minimax -n '" + condition + "'";
  for (const std::string& name : flag.names) {
    const bool is_long = name.rfind("--", 0) == 0;
    text += is_long ? " -l " + name.substr(2) : " -s " + name.substr(1);
  }
  switch (flag.kind) {
    case ValueKind::kWords:
      text += " -x -a '" + join(flag.words, " ") + "'";
      break;
    case ValueKind::kFile:
      text += " -r -F";
      break;
    case ValueKind::kFolder:
      text += " -x -a '(__fish_complete_directories)'";
      break;
    case ValueKind::kOther:
      text += " -x";
      break;
    case ValueKind::kNone:
      break;
  }
  return text + (flag.help.empty() ? "\n" : " -d '" + quoted(flag.help) + "'\n");
}

std::string fish_script(const std::vector<Subcommand>& commands) {
  std::string text = "# fish completion for minimax\ncomplete -c minimax -f\n";
  for (const Subcommand& command : commands) {
    text += fmt::format("complete -c minimax -n __fish_use_subcommand -a {} -d '{}'\n",
                        command.name, quoted(command.help));
    const std::string condition = "__fish_seen_subcommand_from " + command.name;
    for (const Flag& flag : command.flags) {
      text += fish_flag(condition, flag);
    }
    if (command.positional.kind != ValueKind::kNone) {
      Flag positional = command.positional;
      positional.names.clear();
      text += fish_flag(condition, positional);
    }
  }
  return text;
}

}  // namespace

Command make_completions_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("completions", "Shell completion");
  const auto shell = std::make_shared<std::string>();
  app->footer(kExamples);
  app->add_option("SHELL", *shell, "The shell")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  return {app, [shell, &parent] {
            const std::vector<Subcommand> commands = describe_commands(parent);
            write_out(*shell == "bash"  ? bash_script(commands)
                      : *shell == "zsh" ? zsh_script(commands)
                                        : fish_script(commands));
            return kDone;
          }};
}

}  // namespace mm::cli
