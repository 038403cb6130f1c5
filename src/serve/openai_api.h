/// /v1/chat/completions, /v1/completions and /v1/responses, as OpenAI has them.
#pragma once

#include <memory>
#include <optional>

#include "engine/durable_context.h"
#include "serve/router.h"
#include "serve/served_model.h"
#include "serve/work_threads.h"

namespace mm {

/// `contexts`: those that chats may go on from, opened on `threads`, which must end before what the
/// state points to.
void add_openai_routes(Router& router, const std::shared_ptr<ServerState>& state,
                       const std::optional<ContextStore>& contexts, WorkThreads& threads);

}  // namespace mm
