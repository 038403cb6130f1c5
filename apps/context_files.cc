#include "context_files.h"

#include "model/model_hash.h"

namespace mm::cli {

void add_store_folder_flag(CLI::App& command, std::string& folder) {
  command
      .add_option("--context-dir", folder,
                  "Where contexts are kept (default: $XDG_DATA_HOME/minimax/contexts or "
                  "~/.local/share/minimax/contexts)")
      ->type_name("DIR");
}

void add_store_flags(CLI::App& command, StoreFlags& flags) {
  add_store_folder_flag(command, flags.folder);
  add_common_flags(command, flags.common);
}

ContextStore open_store(const std::string& folder) {
  return ContextStore(folder.empty() ? default_context_root() : folder);
}

ContextModel::ContextModel(const ModelFlags& flags, bool raw, bool quiet)
    : session(load_session(flags, quiet)), model_hash(hash_model_folder(session.folder)) {
  if (!raw) {
    frame = find_turn_frame(PromptBuilder(session.folder, session.tokenizer));
  }
}

std::vector<int32_t> ContextModel::encode(const std::string& text) const {
  return session.tokenizer.encode(text);
}

EngineOptions context_engine_options(const ModelFlags& flags, const CacheFlags& cache,
                                     int64_t tokens) {
  EngineOptions options = make_engine_options(flags, cache);
  if (options.context_size == 0) {
    options.context_size = tokens;
  }
  return options;
}

std::string group_digits(int64_t value) {
  std::string text = std::to_string(value);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3) {
    text.insert(static_cast<size_t>(at), ",");
  }
  return text;
}

}  // namespace mm::cli
