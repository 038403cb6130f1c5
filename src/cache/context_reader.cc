#include "cache/context_reader.h"

#include <algorithm>

#include "base/check.h"
#include "cache/context_folder.h"

namespace mm {
namespace {

using Segments = std::vector<std::unique_ptr<SegmentFile>>;

Segments map_segments(const std::string& folder, const ContextManifest& manifest) {
  Segments segments;
  for (const SegmentEntry& entry : manifest.segments)
    segments.push_back(std::make_unique<SegmentFile>(folder, manifest, entry));
  return segments;
}

// Adds what to do. A file that is missing from a folder that names it is damage.
[[noreturn]] void raise_unusable(const std::string& name, const Error& error) {
  raise(error.kind() == ErrorKind::kNotFound ? ErrorKind::kBadInput : error.kind(),
        "context {} cannot be used: {}; verify it to see up to which token it can be forked", name,
        error.what());
}

}  // namespace

ContextReader::ContextReader(const std::string& folder, const std::string& name,
                             const ContextBinding& binding, ContextReadOptions options)
    : name_(name), options_(options) {
  std::string text = read_manifest_text(folder, name);
  while (true) {
    manifest_ = parse_context_manifest(text, manifest_path(folder));
    check_binding(name, manifest_.binding, binding);
    try {
      segments_ = map_segments(folder, manifest_);
      return;
    } catch (const Error& error) {
      // A writer may have replaced the manifest and deleted a segment of the old one meanwhile.
      std::string now = read_manifest_text(folder, name);
      if (now == text)
        raise_unusable(name, error);
      text = std::move(now);
    }
  }
}

std::vector<int32_t> ContextReader::tokens() const {
  std::vector<int32_t> ids;
  ids.reserve(static_cast<size_t>(token_count()));
  try {
    for (const auto& segment : segments_) {
      const std::span<const int32_t> part = segment->tokens();
      ids.insert(ids.end(), part.begin(), part.end());
    }
  } catch (const Error& error) {
    raise_unusable(name_, error);
  }
  ids.insert(ids.end(), manifest_.tail.begin(), manifest_.tail.end());
  return ids;
}

const SegmentFile& ContextReader::segment_of(int64_t block) const {
  MM_CHECK(0 <= block && block < blocks(), "block {} of {}", block, blocks());
  const auto after = std::upper_bound(
      segments_.begin(), segments_.end(), block * kContextBlock,
      [](int64_t token, const auto& segment) { return token < segment->entry().begin; });
  const SegmentFile& segment = **std::prev(after);
  if (!options_.verify)
    return segment;
  try {
    // The disk goes on while the caller works on this segment.
    if (segment.verify() && after != segments_.end())
      (*after)->read_ahead();
  } catch (const Error& error) {
    raise_unusable(name_, error);
  }
  return segment;
}

ContextPage ContextReader::page(int layer, int64_t block) const {
  MM_CHECK(0 <= layer && layer < std::ssize(manifest_.binding.layers), "layer {}", layer);
  return segment_of(block).page(layer, block);
}

void ContextReader::read_state(int64_t position, std::span<const TensorView> states) const {
  const std::vector<CacheLayerSpec>& layers = manifest_.binding.layers;
  MM_CHECK(states.size() == layers.size(), "{} states, {} layers", states.size(), layers.size());
  const SegmentFile* segment = nullptr;
  if (position > 0) {
    segment = &segment_of(position / kContextBlock - 1);
    MM_CHECK(segment->entry().end == position && segment->entry().has_state, "no checkpoint at {}",
             position);
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!layers[i].recurrent)
      continue;
    const int64_t numel = int64_t{layers[i].heads} * layers[i].head_size * layers[i].head_size;
    MM_CHECK(states[i].numel() == numel && states[i].is_contiguous(), "layer {}: {}", i,
             to_string(states[i]));
    if (segment == nullptr)
      std::fill_n(states[i].ptr<float>(), numel, 0.0F);
    else
      segment->read_state(static_cast<int>(i), states[i]);
  }
}

}  // namespace mm
