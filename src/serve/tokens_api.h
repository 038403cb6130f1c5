/// /tokenize, /detokenize and /apply-template, as llama.cpp has them.
#pragma once

#include <memory>

#include "serve/router.h"
#include "serve/served_model.h"

namespace mm {

void add_tokens_routes(Router& router, const std::shared_ptr<ServerState>& state);

}  // namespace mm
