/// Reading a durable context.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cache/context_manifest.h"
#include "cache/context_segment.h"
#include "tensor/tensor.h"

namespace mm {

struct ContextReadOptions {
  /// Check every segment against its checksum before anything of it is used. Without it a damaged
  /// file may give wrong numbers.
  bool verify = true;
};

/// A snapshot of a context as it was when it was opened: its files are mapped, so later changes
/// and even its removal do not show. Any number of processes may read, also while one writes.
/// Const functions may be called by several threads at once.
class ContextReader {
 public:
  /// Opens the context in `folder`, called `name` in errors. Checks manifest, versions, binding,
  /// and size and header of each segment. Throws kNotFound, kBadInput (other binding; damaged
  /// files), kUnsupported (other version), kIo.
  ContextReader(const std::string& folder, const std::string& name, const ContextBinding& binding,
                ContextReadOptions options = {});

  const ContextManifest& manifest() const { return manifest_; }
  int64_t token_count() const { return manifest_.token_count(); }
  /// Whole blocks: those that have pages.
  int64_t blocks() const { return manifest_.stored_tokens() / kContextBlock; }

  /// All ids, the open tail included. Throws kBadInput if those of a segment are damaged.
  std::vector<int32_t> tokens() const;

  /// Keys and values of tokens [64·block, 64·block + 64) of a softmax layer; `layer` counts all
  /// layers. The views are of mapped memory, valid while the reader lives. Consecutive blocks of a
  /// segment lie one after another. The first use of a segment reads it whole and checks it:
  /// throws kBadInput if it is damaged, kIo if the disk fails.
  ContextPage page(int layer, int64_t block) const;

  /// The last position from which replaying up to `position` gives the state there (see
  /// ContextManifest::nearest_state).
  int64_t nearest_state(int64_t position) const { return manifest_.nearest_state(position); }

  /// Decodes the states at a checkpoint into `states`: one f32 [H, K, K] per layer of the model,
  /// empty views for softmax layers. Heads that were not stored, and all heads at position 0, are
  /// zeros. Errors as for page(); MM_CHECKs that `position` is 0 or a checkpoint.
  void read_state(int64_t position, std::span<const TensorView> states) const;

 private:
  /// The segment that holds a block, ready to be used.
  const SegmentFile& segment_of(int64_t block) const;

  std::string name_;
  ContextManifest manifest_;
  std::vector<std::unique_ptr<SegmentFile>> segments_;
  ContextReadOptions options_;
};

}  // namespace mm
