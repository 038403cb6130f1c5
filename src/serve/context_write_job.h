/// A context that is written while the engine does other work too, from plan to answer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/context_plan.h"
#include "serve/served_model.h"

namespace mm {

struct ContextWriteOptions {
  std::string name;
  int64_t segment_tokens = 0;  ///< between checkpoints; 0: the engine's interval
  bool stream = false;         ///< progress as events, and then the context
  int status = 200;            ///< of a whole answer
};

/// Queues what the plan is and returns at once. The answer is the context's object with the write's
/// "usage", whole or as the last event before [DONE]. A client that goes ends the write at its last
/// commit, from which the same request goes on. Throws ApiError 429 when the queue is full.
void start_context_write(const std::shared_ptr<ServerState>& state,
                         const std::shared_ptr<Exchange>& exchange,
                         std::unique_ptr<PlannedWrite> plan, ContextWriteOptions options);

}  // namespace mm
