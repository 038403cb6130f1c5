/// Requests whose draws are kept, for tests of the engine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace mm::testing {

/// What a request drew, with the logits of every draw.
struct Drawn {
  std::vector<int32_t> ids;
  std::vector<std::vector<float>> logits;
  std::optional<FinishReason> reason;
  std::string error;
  Usage usage;
};

inline EngineRequest make_request(std::vector<int32_t> prompt, int64_t tokens, Drawn& drawn) {
  EngineRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = tokens;
  request.wants_logits = true;
  request.on_event = [&drawn](const Event& event) {
    drawn.usage = event.usage;
    if (event.kind == Event::Kind::kToken) {
      drawn.ids.push_back(event.token);
      drawn.logits.emplace_back(event.logits.begin(), event.logits.end());
    } else if (event.kind == Event::Kind::kEnd) {
      drawn.reason = event.reason;
    } else if (event.kind == Event::Kind::kError) {
      drawn.error = event.error;
    }
  };
  return request;
}

inline void run_all(Engine& engine) {
  while (!engine.idle()) {
    engine.step();
    engine.check_integrity();
  }
}

/// One request by itself.
inline Drawn ask(Engine& engine, const std::vector<int32_t>& prompt, int64_t tokens) {
  Drawn drawn;
  engine.submit(make_request(prompt, tokens, drawn));
  run_all(engine);
  return drawn;
}

}  // namespace mm::testing
