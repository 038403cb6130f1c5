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

}  // namespace mm
