#include "engine/context_json.h"

#include "base/hash.h"
#include "engine/context_notes.h"

namespace mm {

Json context_json(const std::string& name, const ContextManifest& manifest) {
  const ContextNotes notes = ContextNotes::read(manifest);
  Json segments = Json::array();
  for (const SegmentEntry& segment : manifest.segments) {
    segments.push_back({{"file", segment.file},
                        {"begin", segment.begin},
                        {"end", segment.end},
                        {"has_state", segment.has_state},
                        {"bytes", segment.bytes},
                        {"checksum", to_hex(segment.checksum)}});
  }
  return {{"name", name},
          {"tokens", manifest.token_count()},
          {"bytes", manifest.bytes()},
          {"complete", notes.pending_tokens == 0},
          {"raw", notes.raw},
          {"turn_is_open", notes.turn_is_open},
          {"model_hash", manifest.binding.model_hash},
          {"fingerprint", manifest.binding.fingerprint},
          {"kv_dtype", to_string(manifest.binding.kv_dtype)},
          {"state_format", to_string(manifest.codec.format)},
          {"replay_tokens", manifest.codec.replay_tokens},
          {"backend", manifest.backend},
          {"checkpoints", manifest.checkpoints()},
          {"segments", segments},
          {"metadata", manifest.metadata}};
}

std::vector<std::string> find_problems(const ContextReport& report) {
  std::vector<std::string> problems;
  if (!report.problem.empty()) {
    problems.push_back(report.problem);
  }
  for (const SegmentReport& segment : report.segments) {
    if (!segment.problem.empty()) {
      problems.push_back(segment.problem);
    }
  }
  return problems;
}

Json context_report_json(const std::string& name, const ContextReport& report) {
  return {{"name", name},
          {"ok", report.ok()},
          {"tokens", report.token_count},
          {"usable_tokens", report.usable_tokens},
          {"problems", find_problems(report)}};
}

}  // namespace mm
