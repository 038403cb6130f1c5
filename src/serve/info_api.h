/// What a server tells of itself: /health, /version, /metrics, /props and /v1/models.
#pragma once

#include <memory>

#include "serve/router.h"
#include "serve/served_model.h"

namespace mm {

/// Adds the endpoints. /health asks for no key.
void add_info_routes(Router& router, const std::shared_ptr<ServerState>& state);

}  // namespace mm
