/// minimax tokenize and detokenize: text to ids and back.
#include "base/error.h"
#include "base/json_value.h"
#include "commands.h"
#include "interrupt.h"
#include "output.h"
#include "session.h"
#include "text/utf8.h"
#include "token_ids.h"

namespace mm::cli {

namespace {

constexpr const char* kTokenizeExamples =
    "The text is taken exactly as it is, last newline included.\n"
    "Examples:\n"
    "  minimax tokenize -p \"Hello world\"\n"
    "  minimax tokenize -f book.txt --json\n"
    "  printf 'Hello' | minimax tokenize --no-special";
constexpr const char* kDetokenizeExamples =
    "Ids are integers between spaces or commas, a JSON array, or what tokenize --json printed.\n"
    "Examples:\n"
    "  minimax detokenize -p \"72 101 108\"\n"
    "  minimax tokenize -f book.txt | minimax detokenize";

struct Flags {
  CommonFlags common;
  std::string model;
  TextSource text;
  bool no_special = false;
};

int tokenize(const Flags& flags) {
  set_up_log(flags.common);
  const std::string text = read_text(flags.text);
  const Tokenizer tokenizer = Tokenizer::load(find_model_folder(flags.model));
  const std::vector<int32_t> ids = tokenizer.encode(text, {.parse_special = !flags.no_special});
  if (!flags.common.json) {
    std::string line;
    for (const int32_t id : ids) {
      line += (line.empty() ? "" : " ") + std::to_string(id);
    }
    write_out(line + "\n");
    return kDone;
  }
  Json pieces = Json::array();
  for (const int32_t id : ids) {
    // A token may be part of a character; JSON strings cannot hold that.
    pieces.push_back(utf8::replace_invalid(tokenizer.piece(id)));
  }
  write_out(Json{{"ids", ids}, {"pieces", pieces}}.dump() + "\n");
  return kDone;
}

int detokenize(const Flags& flags) {
  set_up_log(flags.common);
  const std::vector<int32_t> ids = parse_token_ids(read_text(flags.text), "token ids");
  const Tokenizer tokenizer = Tokenizer::load(find_model_folder(flags.model));
  const std::string text = tokenizer.decode(ids, {.skip_special = flags.no_special});
  write_out(flags.common.json ? Json{{"ids", ids}, {"text", text}}.dump() + "\n" : text);
  return kDone;
}

Command make_command(CLI::App& parent, const char* name, const char* what, const char* examples,
                     int (*run)(const Flags&)) {
  CLI::App* app = parent.add_subcommand(name, what);
  const auto flags = std::make_shared<Flags>();
  const bool encodes = run == tokenize;
  app->footer(examples);
  add_model_flag(*app, flags->model);
  add_text_source(*app, flags->text, encodes ? "The text" : "The ids");
  app->add_flag("--no-special", flags->no_special,
                encodes ? "Markers in the text are text" : "Leave markers out");
  add_common_flags(*app, flags->common);
  return {app, [flags, run] { return run(*flags); }};
}

}  // namespace

Command make_tokenize_command(CLI::App& parent) {
  return make_command(parent, "tokenize", "Text to token ids", kTokenizeExamples, tokenize);
}

Command make_detokenize_command(CLI::App& parent) {
  return make_command(parent, "detokenize", "Token ids to text", kDetokenizeExamples, detokenize);
}

}  // namespace mm::cli
