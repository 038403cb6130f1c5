/// Requests that write durable contexts, read whole.
#pragma once

#include <memory>
#include <string>

#include "engine/durable_context.h"
#include "serve/http.h"
#include "serve/served_model.h"

namespace mm {

/// POST /v1/contexts: {"name", "text" or "documents"} becomes a context. Reads files, so not for
/// threads that must not wait. Throws ApiError and what plan_create() throws.
void create_context(const std::shared_ptr<ServerState>& state, const ContextStore& store,
                    const HttpRequest& request, const std::shared_ptr<Exchange>& exchange);

/// POST /v1/contexts/NAME/append: the same at the end of one. Throws ApiError and what
/// plan_append() throws.
void append_context(const std::shared_ptr<ServerState>& state, const ContextStore& store,
                    const std::string& name, const HttpRequest& request,
                    const std::shared_ptr<Exchange>& exchange);

}  // namespace mm
