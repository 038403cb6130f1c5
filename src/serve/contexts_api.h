/// /v1/contexts: the library of durable contexts over HTTP.
#pragma once

#include <memory>

#include "engine/durable_context.h"
#include "serve/router.h"
#include "serve/served_model.h"
#include "serve/work_threads.h"

namespace mm {

/// GET and POST /v1/contexts, GET and DELETE /v1/contexts/NAME, POST /v1/contexts/NAME/append,
/// …/verify and …/fork. They read and write files on `threads`, which must end before what the
/// state points to.
void add_context_routes(Router& router, const std::shared_ptr<ServerState>& state,
                        const ContextStore& store, WorkThreads& threads);

}  // namespace mm
