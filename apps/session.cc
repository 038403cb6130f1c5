#include "session.h"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "model/upload.h"
#include "model/weights.h"
#include "output.h"
#include "progress.h"
#include "text/grammar.h"

namespace mm::cli {

namespace fs = std::filesystem;

std::string find_model_folder(const std::string& given) {
  if (!given.empty()) {
    if (!fs::exists(given)) {
      raise(ErrorKind::kNotFound,
            "{}: no such folder, expected a model folder (config.json, "
            "weights, tokenizer.json); check --model or MINIMAX_MODEL",
            given);
    }
    return given;
  }
  std::error_code code;
  const fs::path program = fs::read_symlink("/proc/self/exe", code);
  const fs::path installed = program.parent_path().parent_path() / "share/minimax/models/mini";
  const fs::path source = fs::path(MM_SOURCE_DIR) / "models/mini";
  for (const fs::path& folder : {installed, source}) {
    if (fs::exists(folder / "config.json", code)) {
      return folder.string();
    }
  }
  raise(ErrorKind::kNotFound,
        "no bundled model at {} or {}; name a model folder with --model or MINIMAX_MODEL",
        installed.string(), source.string());
}

void set_up_log(const CommonFlags& flags) {
  if (!flags.quiet) {
    set_log_sink(stderr_log_sink(), flags.verbose ? LogLevel::kDebug : LogLevel::kWarning);
  }
}

Model move_to_device(Model model, Device device, bool quiet) {
  if (device.is_host()) {
    return model;
  }
  Progress progress(progress_style(quiet), fmt::format("weights to cuda:{}", device.index),
                    "bytes");
  return copy_to_device(model, device,
                        [&](int64_t done, int64_t total) { progress.update(done, total); });
}

Session load_session(const ModelFlags& flags, bool quiet) {
  const auto start = std::chrono::steady_clock::now();
  const std::string folder = find_model_folder(flags.model);
  Session session{.folder = folder,
                  .model = move_to_device(load_model(folder), device_of(flags), quiet),
                  .tokenizer = Tokenizer::load(folder),
                  .generation = read_generation_config(folder),
                  .eos_ids = {}};
  session.eos_ids = merge_eos_ids(session.model.config.eos_ids, session.generation.eos_ids,
                                  session.tokenizer.eos_id().value_or(-1));
  session.load_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return session;
}

namespace {

/// The grammar of a file, if one was given; errors begin with its name.
std::shared_ptr<const Grammar> read_grammar(const Session& session, const SamplingFlags& flags) {
  const bool is_schema = !flags.schema_file.empty();
  const std::string& path = is_schema ? flags.schema_file : flags.grammar_file;
  if (path.empty()) {
    return nullptr;
  }
  const std::string text = read_text_file(path);
  try {
    auto trie = std::make_shared<const TokenTrie>(session.tokenizer, session.model.zero_rows);
    return is_schema ? Grammar::from_json_schema(text, std::move(trie))
                     : Grammar::from_text(text, std::move(trie));
  } catch (const Error& error) {
    raise(error.kind(), "{}: {}", path, error.what());
  }
}

}  // namespace

GenerationRequest make_request(const Session& session, const SamplingFlags& flags) {
  GenerationRequest request;
  request.sampling = make_sampling(flags, session.generation.sampling);
  validate(request.sampling, session.model.config.vocab_size);
  request.grammar = read_grammar(session, flags);
  request.max_tokens = flags.max_tokens;
  request.stops = flags.stops;
  request.stop_ids = session.eos_ids;
  return request;
}

std::vector<int32_t> without_stop(std::vector<int32_t> answer, const std::vector<int32_t>& stops) {
  if (!answer.empty() && std::find(stops.begin(), stops.end(), answer.back()) != stops.end()) {
    answer.pop_back();
  }
  return answer;
}

std::string describe_usage(const Usage& usage) {
  const int64_t prompt = usage.prompt_tokens;
  std::string text =
      fmt::format("{} tokens: {} cached, {} replayed, {} computed", prompt, usage.cached_tokens,
                  usage.replayed_tokens, prompt - usage.cached_tokens - usage.replayed_tokens);
  if (usage.cached_tokens == 0) {
    text += fmt::format(" ({})", to_string(usage.reuse));
  }
  return text;
}

std::string describe_result(const GenerationResult& result) {
  return fmt::format(
      "prompt: {} in {:.3f} s ({:.1f} tokens/s)\n"
      "answer: {} tokens in {:.3f} s ({:.1f} tokens/s), ended by {}\n",
      describe_usage(result.usage), result.prefill_seconds, result.prefill_rate(),
      result.ids.size(), result.decode_seconds, result.decode_rate(),
      result.stop.empty() ? to_string(result.reason)
                          : fmt::format("the stop string \"{}\"", result.stop));
}

Json result_json(const GenerationResult& result) {
  const Usage& usage = result.usage;
  return {{"text", result.text},
          {"ids", result.ids},
          {"finish_reason", to_string(result.reason)},
          {"stop", result.stop.empty() ? Json() : Json(result.stop)},
          {"prompt_tokens", usage.prompt_tokens},
          {"cached_tokens", usage.cached_tokens},
          {"replayed_tokens", usage.replayed_tokens},
          {"reuse", to_string(usage.reuse)},
          {"generated_tokens", result.ids.size()},
          {"timings",
           {{"prefill_seconds", result.prefill_seconds},
            {"prefill_tokens_per_second", result.prefill_rate()},
            {"decode_seconds", result.decode_seconds},
            {"decode_tokens_per_second", result.decode_rate()}}}};
}

}  // namespace mm::cli
