/// minimax chat: a conversation in the terminal.
#include <charconv>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/json_value.h"
#include "chat_contexts.h"
#include "chat_session.h"
#include "commands.h"
#include "context_files.h"
#include "interrupt.h"
#include "line_reader.h"
#include "output.h"
#include "progress.h"
#include "session.h"

namespace mm::cli {

namespace {

constexpr const char* kExamples =
    "Ctrl-C stops an answer, Ctrl-D leaves. Lines between \"\"\" and \"\"\" are one message; "
    "/help lists commands.\n"
    "Examples:\n"
    "  minimax chat\n"
    "  minimax chat -m DIR --system \"Answer in one sentence.\" --temp 0.7\n"
    "  printf 'Hi\\nTell me more\\n' | minimax chat --quiet";

constexpr const char* kHelp =
    "/help            this list\n"
    "/clear           forget the conversation\n"
    "/system [TEXT]   show or set the system message; setting it begins a new conversation\n"
    "/set [NAME VALUE] show or set: temp, top_k, top_p, min_p, repeat_penalty, repeat_last_n,\n"
    "                 presence_penalty, frequency_penalty, seed, max_tokens\n"
    "/save NAME       keep the conversation as a context, also for `minimax context ask NAME`\n"
    "/load NAME       go on from a context\n"
    "/stats           speed and context of the last answer\n"
    "/bye             leave (also Ctrl-D)\n"
    "\"\"\"              begins and ends a message of several lines\n"
    "Ctrl-C           stops an answer\n";

/// Room for a conversation unless -c says otherwise; cached keys take memory only when used.
constexpr int64_t kDefaultContext = 131072;

struct Flags {
  CommonFlags common;
  ModelFlags model;
  CacheFlags cache;
  SamplingFlags sampling;
  std::string system;
  std::string context_folder;
};

template <typename T>
T parse_value(const std::string& name, const std::string& text) {
  T value{};
  const auto [rest, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || rest != text.data() + text.size()) {
    bad_input("/set {}: \"{}\" is not a number this setting can take", name, text);
  }
  return value;
}

/// The settings that /set knows: shows one, and changes it when `value` is given.
class Settings {
 public:
  explicit Settings(GenerationRequest& request) : request_(request) {}

  void set(const std::string& name, const std::string& text, int64_t vocab_size) {
    GenerationRequest changed = request_;
    if (!visit(changed, [&](const char* known, auto& value) {
          if (name == known) {
            value = parse_value<std::decay_t<decltype(value)>>(name, text);
          }
          return name == known;
        })) {
      bad_input("/set {}: no such setting; /set lists them", name);
    }
    validate(changed.sampling, vocab_size);
    request_ = changed;
  }

  std::string list() const {
    std::string text;
    visit(request_, [&](const char* name, const auto& value) {
      text += fmt::format("{} {}\n", name, value);
      return false;
    });
    return text;
  }

 private:
  /// Calls f(name, value) on each setting until it returns true; returns whether it did.
  template <typename Request, typename F>
  static bool visit(Request& request, F&& f) {
    auto& s = request.sampling;
    return f("temp", s.temperature) || f("top_k", s.top_k) || f("top_p", s.top_p) ||
           f("min_p", s.min_p) || f("repeat_penalty", s.repetition_penalty) ||
           f("repeat_last_n", s.penalty_window) || f("presence_penalty", s.presence_penalty) ||
           f("frequency_penalty", s.frequency_penalty) || f("seed", s.seed) ||
           f("max_tokens", request.max_tokens);
  }

  GenerationRequest& request_;
};

/// The loop of reading, commands and answers.
class Chat {
 public:
  Chat(const Flags& flags, const Session& session, const PromptBuilder& prompts, Engine& engine)
      : flags_(flags),
        session_(session),
        chat_(session, prompts, engine),
        contexts_(session, prompts, engine, flags.context_folder),
        lines_(default_history_file()),
        request_(make_request(session, flags.sampling)) {
    chat_.set_system(flags.system);
  }

  int run(const std::string& backend) {
    if (lines_.is_terminal() && !flags_.common.quiet) {
      write_err(fmt::format("{}, {}. /help lists commands.\n", session_.folder, backend));
    }
    while (!leave_) {
      const std::optional<std::string> message = read_message();
      if (!message) {
        break;
      }
      handle(*message);
    }
    return kDone;
  }

 private:
  /// A message or command; nothing when the user leaves.
  std::optional<std::string> read_message() {
    for (;;) {
      const Line line = lines_.read("> ");
      if (line.end == LineEnd::kEnd) {
        say_on_terminal("\n");
        return std::nullopt;
      }
      if (line.end == LineEnd::kInterrupt) {
        say_on_terminal("(Ctrl-D or /bye leaves)\n");
        continue;
      }
      if (line.text.rfind("\"\"\"", 0) == 0) {
        std::optional<std::string> text = read_lines(line.text.substr(3));
        if (text) {
          return text;
        }
        continue;
      }
      lines_.remember(line.text);
      return line.text;
    }
  }

  /// The rest of a message between triple quotes; nothing when Ctrl-C threw it away.
  std::optional<std::string> read_lines(std::string text) {
    for (;;) {
      const size_t end = text.rfind("\"\"\"");
      if (end != std::string::npos && text.find_first_not_of(" \t", end + 3) == std::string::npos) {
        text.resize(end);
        while (!text.empty() && (text.front() == '\n' || text.back() == '\n')) {
          text.back() == '\n' ? text.pop_back() : void(text.erase(0, 1));
        }
        return text;
      }
      const Line line = lines_.read(". ");
      if (line.end == LineEnd::kInterrupt) {
        return std::nullopt;
      }
      if (line.end == LineEnd::kEnd) {
        return text;
      }
      text += "\n" + line.text;
    }
  }

  void say_on_terminal(const std::string& text) const {
    if (lines_.is_terminal()) {
      write_err(text);
    }
  }

  /// An error of one turn is told; the conversation goes on.
  void handle(const std::string& message) {
    try {
      if (message.rfind('/', 0) == 0) {
        command(message);
      } else if (message.find_first_not_of(" \t") != std::string::npos) {
        answer(message);
      }
    } catch (const Error& error) {
      write_err(fmt::format("minimax: {}\n", error.what()));
    }
  }

  void command(const std::string& line) {
    std::istringstream words(line);
    std::string name, setting, value;
    words >> name >> setting >> value;
    if (name == "/help") {
      write_err(kHelp);
    } else if (name == "/clear") {
      chat_.clear();
    } else if (name == "/system") {
      const size_t text = line.find_first_not_of(" \t", name.size());
      if (text == std::string::npos) {
        write_err((chat_.system().empty() ? "(no system message)" : chat_.system()) + "\n");
      } else {
        chat_.set_system(line.substr(text));
      }
    } else if (name == "/set") {
      if (value.empty()) {
        write_err(Settings(request_).list());
      } else {
        Settings(request_).set(setting, value, session_.model.config.vocab_size);
      }
    } else if (name == "/save") {
      save(setting);
    } else if (name == "/load") {
      load(setting);
    } else if (name == "/stats") {
      write_err(stats_);
    } else if (name == "/bye" || name == "/exit" || name == "/quit") {
      leave_ = true;
    } else {
      bad_input("{}: no such command; /help lists them", name);
    }
  }

  void tell(const std::string& text) const {
    if (!flags_.common.quiet) {
      write_err(text);
    }
  }

  void save(const std::string& name) {
    if (name.empty()) {
      bad_input("/save NAME: a name is missing");
    }
    if (chat_.ids().empty()) {
      bad_input("/save: there is no answer yet");
    }
    const InterruptScope scope;
    AppendOptions options;
    options.cancelled = interrupted;
    const TurnFrame& frame = contexts_.frame();
    const AppendResult result = contexts_.save(name, chat_.ids(), options);
    chat_.grow(frame);
    tell(result.finished
             ? fmt::format("saved as {}: {} tokens\n", name, group_digits(std::ssize(chat_.ids())))
             : fmt::format("stopped; /save {} again finishes it\n", name));
  }

  void load(const std::string& name) {
    if (name.empty()) {
      bad_input("/load NAME: a name is missing; `minimax context list` has them");
    }
    LoadedChat loaded = contexts_.load(name);
    chat_.resume(std::move(loaded.ids), loaded.turn_is_open, contexts_.frame());
    tell(fmt::format("loaded {}: {} tokens\n", name, group_digits(chat_.context_used())));
  }

  void answer(const std::string& message) {
    const InterruptScope scope;
    Progress progress(progress_style(flags_.common.quiet), "prefill", "tokens");
    GenerationCallbacks callbacks;
    callbacks.on_prefill = [&](int64_t done, int64_t total) {
      progress.update(done, total);
      if (done == total) {
        progress.finish();
      }
      return true;
    };
    if (!flags_.common.json) {
      callbacks.on_text = [](const std::string& piece) {
        write_out(piece);
        return true;
      };
    }
    GenerationRequest request = request_;
    request.sampling.seed += static_cast<uint64_t>(chat_.turns());  // each turn draws anew
    const GenerationResult result = chat_.ask(message, request, callbacks, interrupted);
    progress.finish();
    show_end(result);
  }

  void show_end(const GenerationResult& result) {
    if (flags_.common.json) {
      write_out(result_json(result).dump() + "\n");
    } else {
      write_out(result.text.empty() || result.text.back() != '\n' ? "\n" : "");
    }
    stats_ = describe_result(result) +
             fmt::format("context: {} of {} tokens\n", chat_.context_used(), chat_.context_size());
    if (flags_.common.verbose) {
      write_err(stats_);
    }
    if (result.ids.empty() && result.reason == FinishReason::kCancelled) {
      say_on_terminal("(stopped before the answer; the message is forgotten)\n");
    }
    if (result.reason == FinishReason::kContextFull) {
      write_err(
          fmt::format("minimax: the context of {} tokens is full; /clear it or start with "
                      "a larger --ctx-size\n",
                      chat_.context_size()));
    }
  }

  const Flags& flags_;
  const Session& session_;
  ChatSession chat_;
  ChatContexts contexts_;
  LineReader lines_;
  GenerationRequest request_;
  std::string stats_ = "no answer yet\n";
  bool leave_ = false;
};

int run(const Flags& flags) {
  set_up_log(flags.common);
  EngineOptions options = make_engine_options(flags.model, flags.cache);
  if (options.context_size == 0 && options.memory_bytes == 0) {
    options.context_size = kDefaultContext;
  }
  const Session session = load_session(flags.model, flags.common.quiet);
  const PromptBuilder prompts(session.folder, session.tokenizer);
  Engine engine(session.model, options);
  return Chat(flags, session, prompts, engine).run(engine.backend_name());
}

}  // namespace

Command make_chat_command(CLI::App& parent) {
  CLI::App* app = parent.add_subcommand("chat", "Talk in the terminal");
  const auto flags = std::make_shared<Flags>();
  app->footer(kExamples);
  app->add_option("--system", flags->system, "System message")->type_name("TEXT");
  add_store_folder_flag(*app, flags->context_folder);
  add_model_flags(*app, flags->model);
  add_deterministic_flag(*app, flags->model);
  add_cache_flags(*app, flags->cache);
  add_sampling_flags(*app, flags->sampling);
  add_common_flags(*app, flags->common);
  return {app, [flags] { return run(*flags); }};
}

}  // namespace mm::cli
