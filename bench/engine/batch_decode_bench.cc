// Decoding several sequences in one step: how much more a batch yields than one sequence alone,
// when the weights are read once for all.
//
//   mm_batch_decode_bench CONFIG [THREADS [PAIRS [BATCHES [OUT.json]]]]
//
// Random bf16 weights in the shape of CONFIG; N sequences of different random tokens, 512 deep, one
// token each a step, greedy logits for all. Every batch size alternates with batch 1 in this
// process, PAIRS times; what counts is the median of the pairs' ratios. BATCHES is a list of batch
// sizes up to 64, e.g. 1,8.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json_value.h"
#include "base/mapped_file.h"
#include "base/output_file.h"
#include "base/rng.h"
#include "base/version.h"
#include "model/activations.h"
#include "model/config.h"
#include "model/forward.h"
#include "model/summary.h"
#include "model/weights.h"
#include "ops/cpu/backend.h"
#include "ops/cpu/ceilings.h"

namespace mm {
namespace {

constexpr const char* kBatches = "1,2,4,8,16,64";
constexpr int64_t kMostSequences = 64;
constexpr int64_t kDepth = 512;
// Below 64, so that a sample ends before a block does: it leaves the states as it found them, and
// every sample does the same work.
constexpr int64_t kSteps = 24;
constexpr double kGiga = 1e9;

using Clock = std::chrono::steady_clock;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// States, tails and pages of all sequences, owned.
class Caches {
 public:
  explicit Caches(const ModelConfig& config) {
    const int64_t blocks = (kDepth + kSteps + kBlockTokens - 1) / kBlockTokens;
    const int64_t h = config.num_heads;
    const int64_t k = config.head_size;
    for (const AttentionKind kind : config.layers) {
      LayerCache layer;
      if (kind == AttentionKind::kLightning) {
        layer.states = keep(Tensor(DType::kF32, {kMostSequences, h, k, k}));
        layer.tail_k = keep(Tensor(DType::kBf16, {kMostSequences, h, kBlockTokens, k}));
        layer.tail_v = keep(Tensor(DType::kBf16, {kMostSequences, h, kBlockTokens, k}));
      } else {
        layer.pages = keep(Tensor(
            DType::kBf16, {kMostSequences * blocks, config.num_kv_heads, 2, kBlockTokens, k}));
      }
      all_.layers.push_back(layer);
    }
    all_.slots = keep(Tensor(DType::kI32, {kMostSequences}));
    all_.block_table = keep(Tensor(DType::kI32, {kMostSequences, blocks}));
    for (int64_t i = 0; i < kMostSequences; ++i)
      all_.slots.ptr<int32_t>()[i] = static_cast<int32_t>(i);
    for (int64_t i = 0; i < kMostSequences * blocks; ++i)
      all_.block_table.ptr<int32_t>()[i] = static_cast<int32_t>(i);
  }

  /// Sequences [begin, end).
  CacheViews of(int64_t begin, int64_t end) const {
    CacheViews views = all_;
    views.slots = all_.slots.slice(begin, end);
    views.block_table = all_.block_table.slice(begin, end);
    return views;
  }

 private:
  TensorView keep(Tensor tensor) {
    tensors_.push_back(std::move(tensor));
    return tensors_.back();
  }

  std::vector<Tensor> tensors_;
  CacheViews all_;
};

/// One step's index arrays.
class Inputs {
 public:
  /// `count` tokens from position `start` on for each of `sequences` sequences, from `first` on;
  /// the last of each wants logits.
  Batch fill(int64_t first, int64_t sequences, int64_t start, int64_t count, int64_t vocab) {
    for (int64_t n = 0; n < sequences; ++n) {
      for (int64_t i = 0; i < count; ++i) {
        const auto counter = static_cast<uint64_t>((first + n) << 32 | (start + i));
        const double u = philox_uniform(1, 0, counter);
        ids_.ptr<int32_t>()[n * count + i] = static_cast<int32_t>(u * static_cast<double>(vocab));
        positions_.ptr<int32_t>()[n * count + i] = static_cast<int32_t>(start + i);
      }
      offsets_.ptr<int32_t>()[n + 1] = static_cast<int32_t>((n + 1) * count);
      starts_.ptr<int32_t>()[n] = static_cast<int32_t>(start);
      logit_rows_.ptr<int32_t>()[n] = static_cast<int32_t>((n + 1) * count - 1);
    }
    return {.ids = ids_.view().slice(0, sequences * count),
            .positions = positions_.view().slice(0, sequences * count),
            .rows = {.offsets = offsets_.view().slice(0, sequences + 1),
                     .starts = starts_.view().slice(0, sequences)},
            .logit_rows = logit_rows_.view().slice(0, sequences)};
  }

 private:
  Tensor ids_{DType::kI32, {kDepth}}, positions_{DType::kI32, {kDepth}};
  Tensor offsets_{DType::kI32, {kMostSequences + 1}}, starts_{DType::kI32, {kMostSequences}};
  Tensor logit_rows_{DType::kI32, {kMostSequences}};
};

/// A batch size and what was measured.
struct Row {
  int64_t batch = 0;
  double weight_bytes = 0;  ///< read in a step: experts that no token chose do not count
  std::vector<double> rates = {}, ratios = {}, read_shares = {};
};

class Bench {
 public:
  /// For up to `sequences` sequences.
  Bench(const ModelConfig& config, int threads, int64_t sequences)
      : pool_(threads),
        backend_(make_cpu_backend(pool_)),
        model_(make_random_model(config, {})),
        caches_(config),
        activations_(config, ComputeType::kBf16, kDepth, kMostSequences),
        ceiling_(pool_) {
    for (int64_t n = 0; n < sequences; ++n) step(n, 1, 0, kDepth);
  }

  Row measure(int64_t batch, int pairs) {
    Row row{.batch = batch, .weight_bytes = weight_bytes(batch)};
    for (int pair = 0; pair < pairs; ++pair) {
      const double ceiling = ceiling_.measure() * kGiga;
      const double alone = tokens_per_second(1);
      row.rates.push_back(tokens_per_second(batch));
      row.ratios.push_back(row.rates.back() / alone);
      row.read_shares.push_back(row.rates.back() / static_cast<double>(batch) * row.weight_bytes /
                                ceiling);
    }
    return row;
  }

  std::string backend_name() const { return backend_->name(); }

 private:
  void step(int64_t first, int64_t sequences, int64_t start, int64_t count) {
    const Batch batch = inputs_.fill(first, sequences, start, count, model_.config.vocab_size);
    forward(model_, *backend_, batch, caches_.of(first, first + sequences), activations_, probe_);
  }

  void decode(int64_t batch) {
    for (int64_t i = 0; i < kSteps; ++i) step(0, batch, kDepth + i, 1);
  }

  double tokens_per_second(int64_t batch) {
    const Clock::time_point start = Clock::now();
    decode(batch);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return static_cast<double>(batch * kSteps) / seconds;
  }

  /// All but the embedding table and the experts, the experts that a step's tokens choose on
  /// average, and an embedding row a token.
  double weight_bytes(int64_t batch) {
    int64_t chosen = 0;
    Probe probe;
    probe.route = [&](int, const TensorView& ids) {
      const int32_t* id = ids.ptr<int32_t>();
      chosen += static_cast<int64_t>(std::set<int32_t>(id, id + ids.numel()).size());
    };
    probe_ = &probe;
    decode(batch);
    probe_ = nullptr;
    const ModelConfig& config = model_.config;
    const int64_t experts = config.num_layers() * config.num_experts;
    double bytes = 0;
    for (const WeightSummary& weights : summarize(model_).classes) {
      double share = 1;
      if (weights.name == "experts")
        share = static_cast<double>(chosen) / static_cast<double>(kSteps * experts);
      if (weights.name == "embedding" && !config.tied_embeddings)
        share = static_cast<double>(batch) / static_cast<double>(config.vocab_size);
      bytes += share * static_cast<double>(weights.bytes);
    }
    return bytes;
  }

  ThreadPool pool_;
  std::unique_ptr<Backend> backend_;
  Model model_;
  Caches caches_;
  Activations activations_;
  Inputs inputs_;
  cpu::ReadCeiling ceiling_;
  const Probe* probe_ = nullptr;
};

Json to_json(const Row& row) {
  return {{"batch", row.batch},
          {"weight_bytes_per_step", row.weight_bytes},
          {"tokens_per_second", median(row.rates)},
          {"times_batch_1", median(row.ratios)},
          {"gb_per_second",
           median(row.rates) / static_cast<double>(row.batch) * row.weight_bytes / kGiga},
          {"percent_of_read_ceiling", 100 * median(row.read_shares)},
          {"pairs", {{"tokens_per_second", row.rates}, {"times_batch_1", row.ratios}}}};
}

std::vector<int64_t> parse_batches(const std::string& list) {
  std::vector<int64_t> batches;
  std::istringstream stream(list);
  for (std::string item; std::getline(stream, item, ',');) {
    batches.push_back(std::atoll(item.c_str()));
    if (batches.back() < 1 || batches.back() > kMostSequences)
      bad_input("batch {} is out of range, expected 1 to {}", item, kMostSequences);
  }
  return batches;
}

void run(int argc, char** argv) {
  const std::string path = argv[1];
  const int threads = argc > 2 ? std::atoi(argv[2]) : available_cores();
  const int pairs = argc > 3 ? std::max(1, std::atoi(argv[3])) : 5;
  const std::vector<int64_t> batches = parse_batches(argc > 4 ? argv[4] : kBatches);
  const int64_t most = *std::max_element(batches.begin(), batches.end());
  Bench bench(read_config(MappedFile(path).text(), path).model, threads, most);
  fmt::print("{}, commit {}, depth {}\n", bench.backend_name(), commit(), kDepth);
  fmt::print("{:>5} {:>10} {:>12} {:>8} {:>10}\n", "batch", "tokens/s", "x batch 1", "GB/s",
             "% of read");
  Json rows = Json::array();
  for (const int64_t batch : batches) {
    const Json row = to_json(bench.measure(batch, pairs));
    fmt::print("{:>5} {:>10.1f} {:>12.2f} {:>8.1f} {:>10.1f}\n", batch,
               row["tokens_per_second"].get<double>(), row["times_batch_1"].get<double>(),
               row["gb_per_second"].get<double>(), row["percent_of_read_ceiling"].get<double>());
    rows.push_back(row);
  }
  if (argc > 5) {
    const Json report = {{"version", version_string()},
                         {"commit", commit()},
                         {"device",
                          {{"processor", processor_name()},
                           {"cores", available_cores()},
                           {"features", cpu_features()},
                           {"backend", bench.backend_name()}}},
                         {"flags",
                          {{"config", path},
                           {"format", "bf16"},
                           {"threads", threads},
                           {"depth", kDepth},
                           {"steps", kSteps},
                           {"pairs", pairs}}},
                         {"results", rows}};
    write_text_file(argv[5], report.dump(2) + "\n");
  }
}

}  // namespace
}  // namespace mm

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: mm_batch_decode_bench CONFIG [THREADS [PAIRS [BATCHES [OUT.json]]]]\n",
               stderr);
    return 2;
  }
  try {
    mm::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "mm_batch_decode_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
