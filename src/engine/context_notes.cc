#include "engine/context_notes.h"

#include <fmt/format.h>

#include <charconv>

#include "base/error.h"
#include "base/hash.h"

namespace mm {

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

AppendOptions with_notes(AppendOptions options, const ContextWriter& writer,
                         const std::vector<int32_t>& tokens, ContextNotes notes) {
  if (notes.pending_tokens == 0) {
    notes.pending_begin = writer.token_count();
  }
  notes.pending_tokens = static_cast<int64_t>(tokens.size());
  notes.pending_hash = hash_tokens(tokens);
  ContextMetadata metadata = writer.manifest().metadata;
  notes.write(metadata);
  options.first_metadata = metadata;
  notes.pending_tokens = 0;
  notes.write(metadata);
  options.final_metadata = std::move(metadata);
  return options;
}

void fork_context(const ContextStore& store, const std::string& name, const std::string& new_name,
                  std::optional<int64_t> token_count) {
  const ContextManifest source = store.show(name);
  if (!token_count) {
    check_complete(name, source);
  }
  const int64_t at = token_count.value_or(source.token_count());
  if (at > source.token_count()) {
    bad_input("context {} has {} tokens and cannot be cut at {}", name, source.token_count(), at);
  }
  ContextNotes notes = ContextNotes::read(source);
  notes.pending_tokens = 0;
  if (at < source.token_count()) {
    notes.turn_is_open = true;  // it ends inside a text
  }
  ContextMetadata metadata = source.metadata;
  notes.write(metadata);
  store.fork(name, new_name, at, metadata);
}

}  // namespace mm
