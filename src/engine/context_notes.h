/// What a durable context says of its conversation, and contexts made with that in mind.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/context_append.h"

namespace mm {

/// Where a context's conversation stands, kept in its metadata.
struct ContextNotes {
  bool raw = false;          ///< no chat template
  bool turn_is_open = true;  ///< the user's turn, of which the context is the beginning
  /// An append that was begun: what the context will be, so that it can be resumed.
  int64_t pending_tokens = 0;  ///< in all when done; 0: none
  std::string pending_hash;    ///< of their ids
  int64_t pending_begin = 0;   ///< tokens before it

  static ContextNotes read(const ContextManifest& manifest);
  /// Writes them over `metadata`, whose other entries stay.
  void write(ContextMetadata& metadata) const;
};

/// Throws kBadInput, saying how to go on, if an append was interrupted.
void check_complete(const std::string& name, const ContextManifest& manifest);

/// Hash of token ids, for ContextNotes.
std::string hash_tokens(const std::vector<int32_t>& ids);

/// Options of the append that makes `tokens` the content of the context that `writer` writes: notes
/// that say what is coming before it comes, so that the same append can go on after a crash.
/// `notes`: those of the finished context.
AppendOptions with_notes(AppendOptions options, const ContextWriter& writer,
                         const std::vector<int32_t>& tokens, ContextNotes notes);

/// Makes `new_name` from the first `token_count` tokens of `name`, by default all. Where it is cut,
/// it ends within a user's turn. Throws kBadInput if `name` is shorter or, uncut, incomplete, and
/// what ContextStore::fork throws.
void fork_context(const ContextStore& store, const std::string& name, const std::string& new_name,
                  std::optional<int64_t> token_count);

}  // namespace mm
