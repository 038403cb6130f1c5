/// The manifest of a durable context: what it is bound to, its segments, its open tail.
/// docs/formats.md, "Durable contexts", has every field.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "cache/cache_storage.h"
#include "cache/state_codec.h"
#include "tensor/dtype.h"

namespace mm {

/// Tokens in a page of keys and values; states are checkpointed at multiples of it (ADR 4).
constexpr int64_t kContextBlock = 64;
/// What a manifest says it is.
constexpr std::string_view kContextFormat = "minimax-context";
/// Version of the format this program writes, and the only one it reads.
constexpr int64_t kContextVersion = 1;

/// What a context is bound to. Stored data means nothing under any other binding.
struct ContextBinding {
  std::string model_hash;   ///< of config and weights; compared, never interpreted
  std::string fingerprint;  ///< of what else decides the numbers (compute type, …); likewise
  std::vector<CacheLayerSpec> layers;
  DType kv_dtype = DType::kBf16;  ///< int8 and fp8 have f32 scales per token and head
};

using ContextMetadata = std::map<std::string, std::string>;

/// One immutable file: whole blocks [begin, end) of tokens.
struct SegmentEntry {
  std::string file;   ///< "segment-000012.safetensors"
  int64_t begin = 0;  ///< tokens; begin and end are multiples of 64
  int64_t end = 0;
  bool has_state = false;   ///< the states after token end - 1 are in it
  int64_t bytes = 0;        ///< size of the file
  Hash128 checksum;         ///< of the whole file
  Hash128 tokens_checksum;  ///< of its token ids alone, which are read without the rest
};

struct ContextManifest {
  ContextBinding binding;
  std::string backend;  ///< which backend wrote it; information only
  StateCodec codec;
  int64_t next_segment = 0;            ///< number of the next file; numbers are never used twice
  std::vector<SegmentEntry> segments;  ///< in order, from token 0 on, without gaps
  std::vector<int32_t> tail;           ///< ids after the last segment, fewer than 64
  ContextMetadata metadata;            ///< the caller's own notes

  /// Tokens in segments: a multiple of 64.
  int64_t stored_tokens() const { return segments.empty() ? 0 : segments.back().end; }
  int64_t token_count() const { return stored_tokens() + static_cast<int64_t>(tail.size()); }
  /// Bytes of all segments.
  int64_t bytes() const;
  /// Positions of the stored states, ascending.
  std::vector<int64_t> checkpoints() const;
  /// Whether there is a checkpoint where the last segment ends. Not so after a cut within one.
  bool ends_in_state() const { return segments.empty() || segments.back().has_state; }
  /// The last checkpoint from which the sequence may be replayed up to `position`: at least
  /// codec.replay_tokens before it. 0, where the state is zero, if there is none.
  int64_t nearest_state(int64_t position) const;
};

/// "segment-000012.safetensors".
std::string segment_file_name(int64_t number);

/// The text of a manifest, with the checksum of its own content at the end. Throws kBadInput if a
/// string in it is not UTF-8.
std::string dump_context_manifest(const ContextManifest& manifest);

/// Parses and checks everything dump_context_manifest promises. `source` names the text in errors.
/// Throws kBadInput if it is damaged or contradicts itself, kUnsupported for another version.
ContextManifest parse_context_manifest(std::string_view text, std::string_view source);

/// `body`, a JSON object without its closing brace, with the checksum as its last member.
std::string seal_manifest(std::string_view body);

/// Throws kBadInput naming the first difference, both values and what to do, if `asked` is not what
/// context `name` is bound to.
void check_binding(std::string_view name, const ContextBinding& stored,
                   const ContextBinding& asked);

}  // namespace mm
