/// Running a checkpoint over golden token ids, for the parity tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/rng.h"
#include "engine/runner.h"
#include "model/weights.h"
#include "tensor/safetensors.h"

namespace mm::testing {

/// The checkout: where it was built, or $MINIMAX_SOURCE_DIR for programs carried elsewhere.
inline std::string source_folder() {
  const char* carried = std::getenv("MINIMAX_SOURCE_DIR");
  return carried != nullptr ? carried : MM_SOURCE_DIR;
}

inline std::string golden_folder(const std::string& name) {
  return source_folder() + "/tests/golden/" + name;
}

/// "mini" is the bundled model, any other name a golden one.
inline Model load_named_model(const std::string& name) {
  return load_model(name == "mini" ? source_folder() + "/models/mini" : golden_folder(name));
}

/// The first `count` ids of an endless random text; the same seed is the same text.
inline std::vector<int32_t> random_ids(int64_t count, int64_t vocab, uint64_t seed = 1) {
  std::vector<int32_t> ids;
  for (int64_t n = 0; n < count; ++n) {
    const uint32_t word = philox(seed, 7, static_cast<uint64_t>(n))[0];
    ids.push_back(static_cast<int32_t>(word % static_cast<uint32_t>(vocab)));
  }
  return ids;
}

/// One golden case: ids, the rows that have reference logits, and these logits.
struct GoldenCase {
  std::vector<int32_t> ids;
  std::vector<int64_t> rows;
  std::vector<float> logits;  ///< [rows, V]
  std::vector<int32_t> greedy;
  std::vector<float> greedy_last_logits;
};

inline std::vector<float> read_floats(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor* tensor = file.find(name);
  if (tensor == nullptr) {
    return {};
  }
  const float* data = tensor->view.ptr<float>();
  return {data, data + tensor->view.numel()};
}

inline std::vector<int32_t> read_ids(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor* tensor = file.find(name);
  if (tensor == nullptr) {
    return {};
  }
  const int32_t* data = tensor->view.ptr<int32_t>();
  return {data, data + tensor->view.numel()};
}

/// Reads case `tag` ("short", "block", "ragged", "long") of tests/golden/<model>.
inline GoldenCase read_golden(const std::string& model, const std::string& tag, int64_t vocab) {
  const SafetensorsFile file(golden_folder(model) + "/golden.safetensors");
  GoldenCase golden;
  golden.ids = read_ids(file, tag + ".ids");
  const int64_t count = static_cast<int64_t>(golden.ids.size());
  golden.logits = read_floats(file, tag == "long" ? "long.logits_every_500" : tag + ".logits");
  const int64_t rows = static_cast<int64_t>(golden.logits.size()) / vocab;
  for (int64_t i = 0; i < rows; ++i) {
    golden.rows.push_back(tag == "long" ? 500 * i + 499 : count - rows + i);
  }
  golden.greedy = read_ids(file, tag + ".greedy");
  golden.greedy_last_logits = read_floats(file, tag + ".greedy_last_logits");
  return golden;
}

/// Feeds `ids` in steps of `chunk` and returns the logits of `rows` (ascending), [rows, V].
inline std::vector<float> run_rows(Runner& runner, const std::vector<int32_t>& ids, int64_t chunk,
                                   const std::vector<int64_t>& rows) {
  std::vector<float> result;
  size_t next = 0;
  for (int64_t begin = 0; begin < static_cast<int64_t>(ids.size()); begin += chunk) {
    const int64_t count = std::min(chunk, static_cast<int64_t>(ids.size()) - begin);
    const int64_t end = begin + count;
    const bool wanted = next < rows.size() && rows[next] < end;
    const int64_t first = wanted ? rows[next] : end;
    const TensorView logits =
        runner.step({ids.data() + begin, static_cast<size_t>(count)}, wanted ? end - first : 0);
    for (; next < rows.size() && rows[next] < end; ++next) {
      const float* row = logits.ptr<float>() + (rows[next] - first) * logits.dim(1);
      result.insert(result.end(), row, row + logits.dim(1));
    }
  }
  return result;
}

inline RunnerOptions golden_options(ComputeType compute, int threads, int64_t chunk) {
  RunnerOptions options;
  options.threads = threads;
  options.compute = compute;
  options.kv_dtype = to_dtype(compute);
  options.context_size = 8192;
  options.prefill_chunk = chunk;
  options.max_logit_rows = chunk;
  return options;
}

inline double max_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - b[i]);
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
  }
  return worst;
}

/// ‖a - b‖ / ‖b‖.
inline double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = a.size() == b.size() ? 0 : INFINITY;
  double norm = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    difference += std::pow(static_cast<double>(a[i]) - b[i], 2);
    norm += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(difference / norm);
}

/// Greedy continuation: the ids drawn after `ids`, and the logits after the last of them.
struct GreedyRun {
  std::vector<int32_t> ids;
  std::vector<float> last_logits;
};
inline GreedyRun run_greedy(Runner& runner, const std::vector<int32_t>& ids, size_t steps,
                            int32_t stop_id = -1) {
  GreedyRun run;
  std::span<const float> logits = runner.prefill(ids);
  while (run.ids.size() < steps) {
    const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
    run.ids.push_back(static_cast<int32_t>(best));
    if (run.ids.back() == stop_id) {
      break;
    }
    logits = runner.prefill({&run.ids.back(), 1});
  }
  run.last_logits.assign(logits.begin(), logits.end());
  return run;
}

}  // namespace mm::testing
