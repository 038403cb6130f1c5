/// The library of durable contexts: named token sequences on disk, with all that is needed to go on
/// from them. A context is a folder `<root>/<name>` of immutable segments and one manifest.
///
/// Goals: a crash or a full disk leaves the old context or the new one; a damaged file is found
/// before a number of it is used; a fork shares the files of its origin.
/// Non-goals: knowing models or running them (engine), locks across machines, secrecy.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/context_manifest.h"
#include "cache/context_reader.h"
#include "cache/context_writer.h"

namespace mm {

/// A context in a listing. One whose manifest cannot be read is listed with the reason.
struct ContextEntry {
  std::string name;
  ContextManifest manifest;
  std::string problem;  ///< empty if the manifest is sound
};

struct SegmentReport {
  SegmentEntry entry;
  std::string problem;  ///< empty if the segment is sound
};

/// What verify() found.
struct ContextReport {
  std::string problem;                  ///< of the manifest; empty if it is sound
  std::vector<SegmentReport> segments;  ///< in order
  int64_t token_count = 0;
  /// The tokens before the first damaged segment, or all. fork() and truncate() to this many save
  /// what can be saved.
  int64_t usable_tokens = 0;

  bool ok() const { return problem.empty() && usable_tokens == token_count; }
};

/// What a new context starts from.
struct NewContext {
  ContextBinding binding;
  std::string backend;  ///< information only
  StateCodec codec;
  ContextMetadata metadata;
};

/// $XDG_DATA_HOME/minimax/contexts, else ~/.local/share/minimax/contexts. Throws kNotFound if
/// neither XDG_DATA_HOME nor HOME is set.
std::string default_context_root();

/// Throws kBadInput unless `name` is 1 to 100 of A–Z a–z 0–9 . _ - and does not begin with a dot.
void check_context_name(std::string_view name);

/// Functions that take a name throw kBadInput if it is not one, kNotFound if there is no such
/// context, kIo if the disk fails.
class ContextStore {
 public:
  /// The folder need not exist before the first create().
  explicit ContextStore(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }

  bool exists(std::string_view name) const;
  /// Sorted by name.
  std::vector<ContextEntry> list() const;
  /// Throws kBadInput or kUnsupported if the manifest cannot be read.
  ContextManifest show(std::string_view name) const;

  /// Starts an empty context; it exists from its first commit() on. Throws ContextConflict if it
  /// exists or is being written.
  ContextWriter create(std::string_view name, const NewContext& context) const;
  /// Opens for appending or truncating. Throws ContextConflict if the context is being
  /// written, kBadInput if it has another binding; otherwise like show().
  ContextWriter open_writer(std::string_view name, const ContextBinding& binding) const;
  ContextReader open_reader(std::string_view name, const ContextBinding& binding,
                            ContextReadOptions options = {}) const;

  /// Makes `new_name` from the first `token_count` tokens of `name`, by default all, with its
  /// metadata unless others are given. Whole segments
  /// are shared (hard links) or, across file systems, copied; one that reaches over the cut is
  /// written anew up to its last whole block. Throws kBadInput if `name` is shorter,
  /// ContextConflict if `new_name` exists.
  void fork(std::string_view name, std::string_view new_name,
            std::optional<int64_t> token_count = {},
            const std::optional<ContextMetadata>& metadata = {}) const;

  /// Removes a context at once and whole. Throws ContextConflict while it is being written.
  void remove(std::string_view name) const;

  /// Reads everything and says what is damaged. Damage is no exception here.
  ContextReport verify(std::string_view name) const;

 private:
  std::string folder(std::string_view name) const;

  std::string root_;
};

}  // namespace mm
