// Any bytes, sealed or not, are either a manifest that writes back to an equal one, or a kBadInput
// or kUnsupported error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "cache/context_manifest.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void check(const mm::ContextManifest& manifest) {
  int64_t position = 0;
  for (const mm::SegmentEntry& segment : manifest.segments) {
    require(segment.begin == position && segment.end > position);
    require(segment.file.find('/') == std::string::npos);
    position = segment.end;
  }
  require(manifest.stored_tokens() == position && manifest.token_count() >= position);
  require(manifest.bytes() >= 0 && manifest.nearest_state(position) <= position);
  const std::string text = mm::dump_context_manifest(manifest);
  require(mm::dump_context_manifest(mm::parse_context_manifest(text, "again")) == text);
}

void parse(std::string_view text) {
  try {
    check(mm::parse_context_manifest(text, "fuzz"));
  } catch (const mm::Error& error) {
    require(error.kind() == mm::ErrorKind::kBadInput ||
            error.kind() == mm::ErrorKind::kUnsupported);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  parse(text);
  parse(mm::seal_manifest(text));  // otherwise nothing would get past the checksum
  return 0;
}
