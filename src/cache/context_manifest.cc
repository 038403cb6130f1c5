#include "cache/context_manifest.h"

#include <algorithm>

#include "base/check.h"
#include "base/json_value.h"

namespace mm {
namespace {

Json layers_json(const std::vector<CacheLayerSpec>& layers) {
  Json list = Json::array();
  for (const CacheLayerSpec& layer : layers)
    list.push_back({{"kind", layer.recurrent ? "lightning" : "softmax"},
                    {"heads", layer.heads},
                    {"head_size", layer.head_size}});
  return list;
}

Json codec_json(const StateCodec& codec) {
  Json json = {{"format", to_string(codec.format)}, {"replay_tokens", codec.replay_tokens}};
  if (codec.replay_tokens > 0)
    json["kept_heads"] = codec.kept_heads;
  return json;
}

Json segments_json(const std::vector<SegmentEntry>& segments) {
  Json list = Json::array();
  for (const SegmentEntry& segment : segments)
    list.push_back({{"file", segment.file},
                    {"begin", segment.begin},
                    {"end", segment.end},
                    {"has_state", segment.has_state},
                    {"bytes", segment.bytes},
                    {"xxh3_128", to_hex(segment.checksum)},
                    {"tokens_xxh3_128", to_hex(segment.tokens_checksum)}});
  return list;
}

std::string describe(const CacheLayerSpec& layer) {
  return fmt::format("{} with {} heads of {}", layer.recurrent ? "lightning" : "softmax",
                     layer.heads, layer.head_size);
}

// What the two model shapes differ in, e.g. "80 layers" and "8 layers".
std::pair<std::string, std::string> first_difference(const std::vector<CacheLayerSpec>& a,
                                                     const std::vector<CacheLayerSpec>& b) {
  if (a.size() != b.size())
    return {fmt::format("{} layers", a.size()), fmt::format("{} layers", b.size())};
  const auto [left, right] = std::mismatch(a.begin(), a.end(), b.begin());
  const std::string where = fmt::format("layer {} ", left - a.begin());
  return {where + describe(*left), where + describe(*right)};
}

[[noreturn]] void binding_differs(std::string_view name, const char* what, std::string_view stored,
                                  std::string_view asked) {
  bad_input(
      "context {} was made with {} {}, but {} is in use now; use what it was made with, or create "
      "it again",
      name, what, stored, asked);
}

}  // namespace

int64_t ContextManifest::bytes() const {
  int64_t total = 0;
  for (const SegmentEntry& segment : segments) total += segment.bytes;
  return total;
}

std::vector<int64_t> ContextManifest::checkpoints() const {
  std::vector<int64_t> positions;
  for (const SegmentEntry& segment : segments) {
    if (segment.has_state)
      positions.push_back(segment.end);
  }
  return positions;
}

int64_t ContextManifest::nearest_state(int64_t position) const {
  int64_t nearest = 0;
  for (const SegmentEntry& segment : segments) {
    if (segment.has_state && segment.end + codec.replay_tokens <= position)
      nearest = segment.end;
  }
  return nearest;
}

std::string segment_file_name(int64_t number) {
  return fmt::format("segment-{:06}.safetensors", number);
}

std::string dump_context_manifest(const ContextManifest& manifest) {
  const Json json = {{"format", kContextFormat},
                     {"version", kContextVersion},
                     {"model_hash", manifest.binding.model_hash},
                     {"fingerprint", manifest.binding.fingerprint},
                     {"kv_dtype", to_string(manifest.binding.kv_dtype)},
                     {"layers", layers_json(manifest.binding.layers)},
                     {"state_codec", codec_json(manifest.codec)},
                     {"backend", manifest.backend},
                     {"metadata", manifest.metadata},
                     {"token_count", manifest.token_count()},
                     {"next_segment", manifest.next_segment},
                     {"segments", segments_json(manifest.segments)},
                     {"tail", manifest.tail}};
  std::string text;
  try {
    text = json.dump();
  } catch (const std::exception& error) {  // only for strings that are not UTF-8
    bad_input("a manifest cannot hold these strings, expected UTF-8: {}", error.what());
  }
  text.pop_back();  // the closing brace
  return seal_manifest(text);
}

void check_binding(std::string_view name, const ContextBinding& stored,
                   const ContextBinding& asked) {
  if (stored.model_hash != asked.model_hash)
    binding_differs(name, "model", stored.model_hash, asked.model_hash);
  if (stored.kv_dtype != asked.kv_dtype)
    binding_differs(name, "kv dtype", to_string(stored.kv_dtype), to_string(asked.kv_dtype));
  if (stored.layers != asked.layers) {
    const auto [theirs, ours] = first_difference(stored.layers, asked.layers);
    binding_differs(name, "a model of", theirs, ours);
  }
  if (stored.fingerprint != asked.fingerprint)
    binding_differs(name, "number format", stored.fingerprint, asked.fingerprint);
}

}  // namespace mm
