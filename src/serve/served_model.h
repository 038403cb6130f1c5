/// What endpoints know of the model they serve.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/durable_context.h"
#include "engine/engine_loop.h"
#include "engine/generation_config.h"
#include "engine/prompt.h"
#include "serve/http.h"
#include "serve/metrics.h"
#include "serve/tool_format.h"
#include "text/tokenizer.h"

namespace mm {

class GrammarStore;

/// A loaded model and its engine. All that is pointed to outlives the server.
struct ServedModel {
  std::string name;     ///< what clients call it
  std::string folder;   ///< where it came from
  std::string backend;  ///< what computes it
  int64_t created = 0;  ///< seconds since 1970 when it was loaded
  int64_t context_size = 0;
  int64_t vocab_size = 0;
  int max_sequences = 1;
  const Tokenizer* tokenizer = nullptr;
  const PromptBuilder* prompts = nullptr;      ///< null: the folder has no chat template
  ToolFormat tool_format = ToolFormat::kNone;  ///< of that template
  SamplingParams sampling;                     ///< defaults of its generation_config.json
  std::vector<int32_t> eos_ids;
  ContextBinding binding;  ///< of the durable contexts that it can go on from
  EngineLoop* loop = nullptr;
  GrammarStore* grammars = nullptr;  ///< of answers that must have a format
};

/// What all endpoints share, before and after the model is loaded.
struct ServerState {
  std::atomic<const ServedModel*> model = nullptr;
  std::atomic<bool> draining = false;
  std::atomic<int> active = 0;  ///< generations queued or running
  int max_queue = 64;           ///< generations that may wait besides those that run
  Metrics metrics;
  std::function<int()> connections = [] { return 0; };

  /// Throws ApiError 503 while the model is loading or the server is shutting down.
  const ServedModel& ready() const;
};

}  // namespace mm
