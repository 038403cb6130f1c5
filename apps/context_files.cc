#include "context_files.h"

#include <charconv>

#include "base/error.h"
#include "base/hash.h"
#include "model/model_hash.h"

namespace mm::cli {

namespace {

constexpr const char* kRaw = "raw";
constexpr const char* kTurn = "turn";
constexpr const char* kPending = "pending";

/// "TOKENS BEGIN HASH"; anything else counts as no pending append.
void parse_pending(const std::string& text, ContextNotes& notes) {
  const size_t first = text.find(' ');
  const size_t second = text.find(' ', first + 1);
  if (first == std::string::npos || second == std::string::npos) {
    return;
  }
  std::from_chars(text.data(), text.data() + first, notes.pending_tokens);
  std::from_chars(text.data() + first + 1, text.data() + second, notes.pending_begin);
  notes.pending_hash = text.substr(second + 1);
}

}  // namespace

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

ContextNotes ContextNotes::read(const ContextManifest& manifest) {
  ContextNotes notes;
  const auto value = [&](const char* key) {
    const auto found = manifest.metadata.find(key);
    return found == manifest.metadata.end() ? std::string() : found->second;
  };
  notes.raw = value(kRaw) == "yes";
  notes.turn_is_open = value(kTurn) != "closed";
  parse_pending(value(kPending), notes);
  return notes;
}

void ContextNotes::write(ContextMetadata& metadata) const {
  metadata[kRaw] = raw ? "yes" : "no";
  metadata[kTurn] = turn_is_open ? "open" : "closed";
  metadata.erase(kPending);
  if (pending_tokens > 0) {
    metadata[kPending] = fmt::format("{} {} {}", pending_tokens, pending_begin, pending_hash);
  }
}

void check_complete(const std::string& name, const ContextManifest& manifest) {
  const ContextNotes notes = ContextNotes::read(manifest);
  if (notes.pending_tokens > 0) {
    bad_input(
        "context {}: an append was interrupted at token {} of {}; run it again to finish it, or "
        "`minimax context fork {} NEW --at {}` to go on from what was there before",
        name, manifest.token_count(), notes.pending_tokens, name, notes.pending_begin);
  }
}

std::string hash_tokens(const std::vector<int32_t>& ids) {
  return to_hex(hash128(std::as_bytes(std::span(ids))));
}

AppendResult write_context(Engine& engine, ContextWriter& writer, const ContextReader* stored,
                           const std::vector<int32_t>& tokens, ContextNotes notes,
                           AppendOptions options) {
  if (notes.pending_tokens == 0) {
    notes.pending_begin = writer.token_count();
  }
  notes.pending_tokens = static_cast<int64_t>(tokens.size());
  notes.pending_hash = hash_tokens(tokens);
  ContextMetadata metadata = writer.manifest().metadata;
  notes.write(metadata);
  writer.set_metadata(metadata);
  writer.commit();
  notes.pending_tokens = 0;
  notes.write(metadata);
  options.final_metadata = std::move(metadata);
  return append_to_context(engine, writer, stored, tokens, options);
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
