/// Batched decoding through the engine: tokens per second at 1, 8 and 64 sequences, the ratio to
/// one sequence, and the share of a step that is bookkeeping (scheduler, cache, copies of states).
///
///   mm_engine_bench CONFIG [ROUNDS] [THREADS]
///
/// Random bf16 weights in the shape of CONFIG. Sizes take turns in one process, so that a machine
/// whose speed drifts drifts for all of them; each figure is the median over rounds.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <vector>

#include "base/mapped_file.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "model/weights.h"

namespace {

using namespace mm;  // NOLINT(google-build-using-namespace): a program, not a library

constexpr int kSizes[] = {1, 8, 64};
constexpr int64_t kPrompt = 128;
constexpr int64_t kTokens = 24;
constexpr int64_t kContext = 512;  // room for those that decode while others are prefilled

struct Figures {
  std::vector<double> rates;   ///< tokens per second
  std::vector<double> shares;  ///< bookkeeping of the whole step
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

EngineRequest make_request(int64_t vocab, uint64_t seed) {
  EngineRequest request;
  for (int64_t i = 0; i < kPrompt; ++i) {
    const uint32_t word = philox(seed, 0, static_cast<uint64_t>(i))[0];
    request.prompt.push_back(static_cast<int32_t>(word % static_cast<uint32_t>(vocab)));
  }
  request.max_tokens = kContext - kPrompt;
  return request;
}

/// `size` sequences at once; only steps in which all of them decode are counted.
void measure(Engine& engine, int size, uint64_t seed, Figures& figures) {
  for (int n = 0; n < size; ++n) {
    engine.submit(make_request(engine.model().config.vocab_size, seed++));
  }
  EngineStats before;
  do {
    before = engine.stats();
    engine.step();
  } while (engine.stats().running < size || engine.stats().step_rows - before.step_rows != size);
  before = engine.stats();
  for (int64_t i = 0; i < kTokens; ++i) {
    engine.step();
  }
  const EngineStats after = engine.stats();
  const double model = after.model_seconds - before.model_seconds;
  const double rest = after.bookkeeping_seconds - before.bookkeeping_seconds;
  figures.rates.push_back(static_cast<double>(after.step_rows - before.step_rows) / (model + rest));
  figures.shares.push_back(rest / (model + rest));
  engine.cancel_all();
}

void run(const char* path, int rounds, int threads) {
  const MappedFile file(path);
  const Model model = make_random_model(read_config(file.text(), path).model, {});
  EngineOptions options;
  options.threads = threads;
  options.context_size = kContext;
  options.max_sequences = 64;
  options.reuse = false;
  Engine engine(model, options);
  std::map<int, Figures> figures;
  for (int round = 0; round < rounds; ++round) {
    for (const int size : kSizes) {
      measure(engine, size, static_cast<uint64_t>(round) * 1000 + static_cast<uint64_t>(size),
              figures[size]);
    }
  }
  fmt::print("{}, {} rounds\nsequences  tokens/s  ratio  bookkeeping\n", engine.backend_name(),
             rounds);
  for (const int size : kSizes) {
    std::vector<double> ratios;
    for (size_t i = 0; i < figures[size].rates.size(); ++i) {
      ratios.push_back(figures[size].rates[i] / figures[1].rates[i]);
    }
    fmt::print("{:9}  {:8.1f}  {:5.2f}  {:10.2f} %\n", size, median(figures[size].rates),
               median(ratios), 100 * median(figures[size].shares));
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: mm_engine_bench CONFIG [ROUNDS] [THREADS]\n");
    return 2;
  }
  try {
    run(argv[1], argc > 2 ? std::atoi(argv[2]) : 5, argc > 3 ? std::atoi(argv[3]) : 0);
  } catch (const std::exception& error) {
    fmt::print(stderr, "mm_engine_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
