/// /v1/chat/completions, /v1/completions and /v1/responses, as OpenAI has them.
#pragma once

#include <memory>

#include "serve/router.h"
#include "serve/served_model.h"

namespace mm {

void add_openai_routes(Router& router, const std::shared_ptr<ServerState>& state);

}  // namespace mm
