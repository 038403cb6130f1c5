#include "serve/context_object.h"

#include "engine/context_json.h"

namespace mm {

Json context_object(const std::string& name, const ContextManifest& manifest) {
  Json json = {{"object", "context"}};
  json.update(context_json(name, manifest));
  json.erase("segments");
  json.erase("metadata");
  return json;
}

Json written_context(const std::string& name, const ContextManifest& manifest, const Usage& usage) {
  Json json = context_object(name, manifest);
  json["usage"] = {{"cached_tokens", usage.cached_tokens},
                   {"replayed_tokens", usage.replayed_tokens},
                   {"computed_tokens", usage.computed_tokens}};
  return json;
}

}  // namespace mm
