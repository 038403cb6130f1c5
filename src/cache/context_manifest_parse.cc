// Reading manifests: bytes from outside, so every promise of the format is checked.
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <optional>
#include <span>
#include <unordered_set>

#include "base/check.h"
#include "base/json.h"
#include "cache/context_manifest.h"

namespace mm {
namespace {

// The seal is the end of the text: these two around 32 hexadecimal digits.
constexpr std::string_view kSealBegin = ",\"checksum\":\"";
constexpr std::string_view kSealEnd = "\"}\n";
constexpr size_t kSealDigits = 32;
constexpr size_t kSealSize = kSealBegin.size() + kSealDigits + kSealEnd.size();

// Limits far above any real context, so that no sum or product below them can overflow. With at
// most a million segments (the limit on the text) all bytes together stay under 2⁶⁰.
constexpr size_t kMaxText = size_t{64} << 20;
constexpr int64_t kMaxTokens = int64_t{1} << 48;
constexpr int64_t kMaxSegmentBytes = int64_t{1} << 40;
constexpr int64_t kMaxSegments = 1'000'000'000;
constexpr int64_t kMaxSize = 65536;  // of heads and head sizes
constexpr int64_t kMaxReplay = int64_t{1} << 31;
constexpr int64_t kMaxTokenId = (int64_t{1} << 31) - 1;

Hash128 hash_text(std::string_view text) {
  return hash128(std::as_bytes(std::span(text.data(), text.size())));
}

// A JSON object while its members are read; `what` names it in errors.
struct Fields {
  JsonView object;
  std::string what;

  std::string path(const char* key) const { return fmt::format("{}: {}", what, key); }

  JsonView get(const char* key) const {
    if (!object.is_object())
      bad_input("{}: expected an object, found {}", what, to_string(object.kind()));
    const std::optional<JsonView> value = object.find(key);
    if (!value)
      bad_input("{}: {} is missing", what, key);
    return *value;
  }
  std::string text(const char* key) const { return std::string(get(key).as_string(path(key))); }
  bool flag(const char* key) const { return get(key).as_bool(path(key)); }
  std::vector<JsonView> list(const char* key) const { return get(key).elements(path(key)); }
  int64_t integer(const char* key, int64_t least, int64_t most) const;
  std::vector<int32_t> integers(const char* key, int64_t most) const;
  Hash128 checksum(const char* key) const;
};

int64_t checked_integer(const JsonView& value, const std::string& what, int64_t least,
                        int64_t most) {
  const int64_t number = value.as_int(what);
  if (number < least || number > most)
    bad_input("{} is {}, expected {} to {}", what, number, least, most);
  return number;
}

std::vector<int32_t> checked_integers(const JsonView& value, const std::string& what,
                                      int64_t most) {
  std::vector<int32_t> numbers;
  for (const JsonView& element : value.elements(what))
    numbers.push_back(static_cast<int32_t>(checked_integer(element, what, 0, most)));
  return numbers;
}

int64_t Fields::integer(const char* key, int64_t least, int64_t most) const {
  return checked_integer(get(key), path(key), least, most);
}

std::vector<int32_t> Fields::integers(const char* key, int64_t most) const {
  return checked_integers(get(key), path(key), most);
}

Hash128 Fields::checksum(const char* key) const {
  const std::string digits = text(key);
  Hash128 hash;
  if (!parse_hash128(digits, &hash))
    bad_input("{} is \"{}\", expected {} hexadecimal digits", path(key), digits, kSealDigits);
  return hash;
}

void check_seal(std::string_view text, std::string_view source) {
  if (text.size() > kMaxText)
    bad_input("{}: {} bytes, expected at most {}; not a context manifest?", source, text.size(),
              kMaxText);
  const std::string_view body = text.substr(0, text.size() - std::min(text.size(), kSealSize));
  if (text != seal_manifest(body))
    bad_input(
        "{}: damaged: its content and the checksum at its end disagree; restore the file, or "
        "remove "
        "the context and create it again",
        source);
}

void check_version(const Fields& root) {
  const std::string format = root.text("format");
  if (format != kContextFormat)
    bad_input("{} is \"{}\", expected \"{}\"", root.path("format"), format, kContextFormat);
  const int64_t version = root.get("version").as_int(root.path("version"));
  if (version != kContextVersion)
    raise(ErrorKind::kUnsupported,
          "{}: the context has format version {}, this program reads version {}; use the version "
          "of the program that wrote it, or create it again",
          root.what, version, kContextVersion);
}

std::vector<CacheLayerSpec> read_layers(const Fields& root) {
  std::vector<CacheLayerSpec> layers;
  for (const JsonView& element : root.list("layers")) {
    const Fields layer{element, fmt::format("{}: layer {}", root.what, layers.size())};
    const std::string kind = layer.text("kind");
    if (kind != "lightning" && kind != "softmax")
      bad_input("{} is \"{}\", expected lightning or softmax", layer.path("kind"), kind);
    layers.push_back({kind == "lightning", static_cast<int>(layer.integer("heads", 1, kMaxSize)),
                      static_cast<int>(layer.integer("head_size", 1, kMaxSize))});
  }
  return layers;
}

ContextBinding read_binding(const Fields& root) {
  ContextBinding binding;
  binding.model_hash = root.text("model_hash");
  binding.fingerprint = root.text("fingerprint");
  const std::string dtype = root.text("kv_dtype");
  if (!parse_dtype(dtype, &binding.kv_dtype))
    raise(ErrorKind::kUnsupported, "{} is \"{}\", which this program does not know",
          root.path("kv_dtype"), dtype);
  binding.layers = read_layers(root);
  return binding;
}

std::vector<std::vector<int32_t>> read_kept_heads(const Fields& codec,
                                                  const std::vector<CacheLayerSpec>& layers) {
  const std::string what = codec.path("kept_heads");
  std::vector<std::vector<int32_t>> kept;
  for (const JsonView& list : codec.list("kept_heads")) {
    if (kept.size() == layers.size())
      bad_input("{} has more lists than the {} layers", what, layers.size());
    const CacheLayerSpec& layer = layers[kept.size()];
    kept.push_back(checked_integers(list, what, layer.heads - 1));
    const std::vector<int32_t>& heads = kept.back();
    if (!layer.recurrent && !heads.empty())
      bad_input("{}: layer {} has no state, expected an empty list", what, kept.size() - 1);
    if (std::adjacent_find(heads.begin(), heads.end(), std::greater_equal()) != heads.end())
      bad_input("{}: those of layer {} do not ascend", what, kept.size() - 1);
  }
  if (kept.size() != layers.size())
    bad_input("{} has {} lists, expected one for each of {} layers", what, kept.size(),
              layers.size());
  return kept;
}

StateCodec read_codec(const Fields& root, const std::vector<CacheLayerSpec>& layers) {
  const Fields fields{root.get("state_codec"), root.path("state_codec")};
  StateCodec codec;
  const std::string format = fields.text("format");
  if (!parse_state_format(format, &codec.format))
    raise(ErrorKind::kUnsupported, "{} is \"{}\", which this program does not know",
          fields.path("format"), format);
  codec.replay_tokens = fields.integer("replay_tokens", 0, kMaxReplay);
  if (codec.replay_tokens > 0)
    codec.kept_heads = read_kept_heads(fields, layers);
  return codec;
}

// Names are made from numbers below next_segment, so none leads out of the folder.
void check_file_name(const Fields& fields, const std::string& file, int64_t next_segment) {
  const size_t digits = file.find_first_of("0123456789");
  const int64_t number =
      digits == std::string::npos ? -1 : std::strtoll(file.c_str() + digits, nullptr, 10);
  if (number < 0 || number >= next_segment || file != segment_file_name(number))
    bad_input("{} is \"{}\", expected segment-NNNNNN.safetensors with a number below {}",
              fields.path("file"), file, next_segment);
}

SegmentEntry read_segment(const Fields& fields, int64_t begin, int64_t next_segment) {
  SegmentEntry entry;
  entry.file = fields.text("file");
  check_file_name(fields, entry.file, next_segment);
  entry.begin = fields.integer("begin", begin, begin);
  entry.end = fields.integer("end", begin + kContextBlock, kMaxTokens);
  if (entry.end % kContextBlock != 0)
    bad_input("{} is {}, expected a multiple of {}", fields.path("end"), entry.end, kContextBlock);
  entry.has_state = fields.flag("has_state");
  entry.bytes = fields.integer("bytes", 1, kMaxSegmentBytes);
  entry.checksum = fields.checksum("xxh3_128");
  entry.tokens_checksum = fields.checksum("tokens_xxh3_128");
  return entry;
}

std::vector<SegmentEntry> read_segments(const Fields& root, int64_t next_segment) {
  std::vector<SegmentEntry> segments;
  std::unordered_set<std::string> files;
  for (const JsonView& element : root.list("segments")) {
    const Fields fields{element, fmt::format("{}: segment {}", root.what, segments.size())};
    const int64_t begin = segments.empty() ? 0 : segments.back().end;
    segments.push_back(read_segment(fields, begin, next_segment));
    if (!files.insert(segments.back().file).second)
      bad_input("{}: {} is listed twice", fields.what, segments.back().file);
  }
  return segments;
}

ContextMetadata read_metadata(const Fields& root) {
  ContextMetadata metadata;
  const std::string what = root.path("metadata");
  for (const auto& [key, value] : root.get("metadata").members(what))
    metadata.emplace(key, value.as_string(fmt::format("{}: {}", what, key)));
  return metadata;
}

}  // namespace

std::string seal_manifest(std::string_view body) {
  return fmt::format("{}{}{}{}", body, kSealBegin, to_hex(hash_text(body)), kSealEnd);
}

ContextManifest parse_context_manifest(std::string_view text, std::string_view source) {
  check_seal(text, source);
  const JsonDocument document = JsonDocument::parse(text, source);
  const Fields root{document.root(), std::string(source)};
  check_version(root);
  ContextManifest manifest;
  manifest.binding = read_binding(root);
  manifest.codec = read_codec(root, manifest.binding.layers);
  manifest.backend = root.text("backend");
  manifest.metadata = read_metadata(root);
  manifest.next_segment = root.integer("next_segment", 0, kMaxSegments);
  manifest.segments = read_segments(root, manifest.next_segment);
  manifest.tail = root.integers("tail", kMaxTokenId);
  if (manifest.tail.size() >= kContextBlock)
    bad_input("{} has {} ids, expected fewer than {}", root.path("tail"), manifest.tail.size(),
              kContextBlock);
  root.integer("token_count", manifest.token_count(), manifest.token_count());
  return manifest;
}

}  // namespace mm
