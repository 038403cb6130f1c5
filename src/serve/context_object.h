/// Durable contexts as clients see them.
#pragma once

#include <string>

#include "base/json_value.h"
#include "engine/durable_context.h"
#include "engine/engine_request.h"

namespace mm {

/// {"object": "context", "name", "tokens", …}. Where its files and its model lie is the server's
/// own matter and left out.
Json context_object(const std::string& name, const ContextManifest& manifest);

/// The same of one that was written to, with what that cost: {…, "usage": {"cached_tokens", …}}.
Json written_context(const std::string& name, const ContextManifest& manifest, const Usage& usage);

}  // namespace mm
