/// Recording which experts a run chooses, and making another run choose the same.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "tests/engine/golden.h"

namespace mm::testing {

/// What the routers of a run said.
struct Routing {
  std::vector<std::vector<int32_t>> layers;  ///< per layer, A ids per token in order of tokens
  std::vector<std::vector<float>> logits;    ///< per layer, E per token
};

inline Routing record_routing(const Model& model, const std::vector<int32_t>& ids,
                              const RunnerOptions& options) {
  Routing routing;
  routing.layers.resize(static_cast<size_t>(model.config.num_layers()));
  routing.logits.resize(routing.layers.size());
  Probe probe;
  probe.observe = [&](ProbePoint point, int layer, const TensorView& tensor) {
    if (point == ProbePoint::kRouterLogits) {
      auto& logits = routing.logits[static_cast<size_t>(layer)];
      logits.insert(logits.end(), tensor.ptr<float>(), tensor.ptr<float>() + tensor.numel());
    }
  };
  probe.route = [&](int layer, const TensorView& chosen) {
    auto& all = routing.layers[static_cast<size_t>(layer)];
    all.insert(all.end(), chosen.ptr<int32_t>(), chosen.ptr<int32_t>() + chosen.numel());
  };
  Runner runner(model, options);
  runner.set_probe(&probe);
  run_rows(runner, ids, options.prefill_chunk, {});
  return routing;
}

/// Logits of the golden rows, every token with the experts of `routing`.
inline std::vector<float> run_forced(const Model& model, const GoldenCase& golden,
                                     const Routing& routing, const RunnerOptions& options) {
  std::vector<size_t> next(routing.layers.size());
  Probe probe;
  probe.route = [&](int layer, const TensorView& chosen) {
    const size_t l = static_cast<size_t>(layer);
    const size_t count = static_cast<size_t>(chosen.numel());
    std::copy_n(routing.layers[l].begin() + static_cast<std::ptrdiff_t>(next[l]), count,
                chosen.ptr<int32_t>());
    next[l] += count;
  };
  Runner runner(model, options);
  runner.set_probe(&probe);
  return run_rows(runner, golden.ids, options.prefill_chunk, golden.rows);
}

}  // namespace mm::testing
