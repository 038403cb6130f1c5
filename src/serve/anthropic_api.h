/// /v1/messages and /v1/messages/count_tokens, as Anthropic has them.
#pragma once

#include <memory>

#include "serve/router.h"
#include "serve/served_model.h"

namespace mm {

void add_anthropic_routes(Router& router, const std::shared_ptr<ServerState>& state);

}  // namespace mm
