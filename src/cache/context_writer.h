/// Writing a durable context.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cache/context_lock.h"
#include "cache/context_manifest.h"
#include "cache/context_segment.h"
#include "tensor/tensor.h"

namespace mm {

/// The one writer of a context. Changes collect until commit(), which makes all of them visible and
/// durable at once: whatever happens, the context on disk is the one before or the one after.
/// Committing after each segment makes a long ingest resumable; committing at its end makes it
/// atomic. Every function throws kIo when the disk is full or fails; the context on disk and the
/// collected changes are then as before the call.
class ContextWriter {
 public:
  ~ContextWriter();  ///< forgets what was not committed
  ContextWriter(ContextWriter&&) = default;
  ContextWriter(const ContextWriter&) = delete;
  ContextWriter& operator=(const ContextWriter&) = delete;
  ContextWriter& operator=(ContextWriter&&) = delete;

  /// The context as commit() would leave it.
  const ContextManifest& manifest() const { return manifest_; }
  int64_t token_count() const { return manifest_.token_count(); }

  /// Adds whole blocks after the last segment. `tokens`: a positive multiple of 64 ids, which begin
  /// with the ids of the open tail; the tail is empty afterwards. `page` gives keys and values of
  /// each softmax layer and block. `states`: none, or the states after the last token, f32
  /// [H, K, K] contiguous per layer of the model, empty views for softmax layers. The file is on
  /// disk when this returns. MM_CHECKs types and shapes.
  void append_segment(std::span<const int32_t> tokens, PageSource page,
                      std::span<const TensorView> states = {});

  /// Gives the last segment, which truncate() left without states, those after its last token:
  /// writes it again with them. `states` as for append_segment. Throws kBadInput if it is damaged.
  void add_states(std::span<const TensorView> states);

  /// Sets the ids after the last segment: fewer than 64. MM_CHECKs that.
  void set_tail(std::span<const int32_t> ids);
  void set_metadata(ContextMetadata metadata);

  /// Cuts the sequence to its first `token_count` tokens. A segment that reaches over the cut is
  /// written again up to its last whole block and loses its states. Throws kBadInput if the context
  /// is shorter, or if that segment is damaged.
  void truncate(int64_t token_count);

  void commit();

 private:
  friend class ContextStore;
  ContextWriter(std::string folder, std::string name, ContextLock lock, ContextManifest manifest);

  void write(const SegmentData& data, PageSource page);
  /// Makes this context the first `token_count` tokens of `source`, whose files are in
  /// `source_folder`; only a segment that reaches over the cut is written here.
  void keep_prefix(const std::string& source_folder, const ContextManifest& source,
                   int64_t token_count);
  /// The part of keep_prefix for that segment: appends its first `count` tokens to `kept`.
  void keep_prefix_of(const SegmentFile& segment, int64_t count, ContextManifest* kept) const;

  std::string folder_;
  std::string name_;
  ContextLock lock_;
  ContextManifest manifest_;
  ContextManifest committed_;
};

}  // namespace mm
