// Where the time of a step goes: milliseconds and share of every verb of the backend, products by
// shape, in a prefill and in decoding.
//
//   mm_step_profile MODEL [threads] [prompt tokens] [decoded tokens] [depth]
//
// MODEL is a folder, or a config.json for random bf16 weights (FILE:int8, FILE:int4 for others).
// The steps stand at positions depth, …; what lies before is empty pages, which cost as much.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "engine/executor.h"
#include "model/config.h"
#include "model/weights.h"

namespace mm {
namespace {

// Processor time of this thread: on a busy machine only that is comparable. It stands for the time
// of a call, since the calling thread takes part and then spins until the others are done.
double now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

constexpr int kRounds = 10;

/// Seconds and calls by verb.
class Ledger {
 public:
  template <typename Call>
  void time(const std::string& verb, Call&& call) {
    const double start = now();
    call();
    Entry& entry = entries_[verb];
    entry.seconds += now() - start;
    ++entry.calls;
  }

  void clear() { entries_.clear(); }

  /// The dearest verb first, per step; what no verb accounts for last.
  void print(const std::string& title, double seconds, int64_t steps) const {
    std::vector<std::pair<std::string, Entry>> rows(entries_.begin(), entries_.end());
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
    double rest = seconds;
    for (const auto& row : rows) rest -= row.second.seconds;
    rows.emplace_back("(between verbs)", Entry{rest, steps});
    fmt::print("\n{}: {:.3f} ms a step\n{:28} {:>10} {:>7} {:>8}\n", title,
               1e3 * seconds / static_cast<double>(steps), "verb", "ms", "share", "calls");
    for (const auto& [verb, entry] : rows) {
      fmt::print("{:28} {:10.3f} {:6.1f}% {:8}\n", verb,
                 1e3 * entry.seconds / static_cast<double>(steps), 100 * entry.seconds / seconds,
                 entry.calls / steps);
    }
  }

 private:
  struct Entry {
    double seconds = 0;
    int64_t calls = 0;
  };
  std::map<std::string, Entry> entries_;
};

std::string shape_of(const char* verb, const Weight& w) {
  return fmt::format("{} {} x {}", verb, w.rows, w.cols);
}

/// Passes every verb on, and notes how long it took.
class ProfiledBackend final : public Backend {
 public:
  ProfiledBackend(std::unique_ptr<Backend> inner, Ledger& ledger)
      : inner_(std::move(inner)), ledger_(ledger) {}

  std::string name() const override { return inner_->name(); }

 private:
  void do_embed(const TensorView& ids, const Weight& table, const TensorView& out) override {
    ledger_.time("embed", [&] { inner_->embed(ids, table, out); });
  }
  void do_rms_norm(const TensorView& x, const TensorView& weight, float eps,
                   const TensorView& out) override {
    ledger_.time("rms_norm", [&] { inner_->rms_norm(x, weight, eps, out); });
  }
  void do_cast(const TensorView& x, const TensorView& out) override {
    ledger_.time("cast", [&] { inner_->cast(x, out); });
  }
  void do_add_scaled(const TensorView& a, float alpha, const TensorView& b, float beta,
                     const TensorView& out) override {
    ledger_.time("add_scaled", [&] { inner_->add_scaled(a, alpha, b, beta, out); });
  }
  void do_linear(const TensorView& x, const Weight& w, const TensorView& out) override {
    ledger_.time(shape_of("linear", w), [&] { inner_->linear(x, w, out); });
  }
  void do_grouped_linear(const TensorView& x, const TensorView& offsets,
                         std::span<const Weight> weights, const TensorView& out) override {
    ledger_.time(shape_of("grouped_linear", weights[0]),
                 [&] { inner_->grouped_linear(x, offsets, weights, out); });
  }
  void do_project(const TensorView& x, std::span<const Projection> projections) override {
    std::string shapes = "project";
    for (const Projection& p : projections) shapes += fmt::format(" {} x {}", p.w.rows, p.w.cols);
    ledger_.time(shapes, [&] { inner_->project(x, projections); });
  }
  void do_grouped_gated(const GatedArgs& args) override {
    ledger_.time(shape_of("grouped_gated 2 x", args.gate[0]), [&] { inner_->grouped_gated(args); });
  }
  void do_gated_norm(const TensorView& gate, const TensorView& x, const TensorView& weight,
                     float eps, const TensorView& out) override {
    ledger_.time("gated_norm", [&] { inner_->gated_norm(gate, x, weight, eps, out); });
  }
  void do_add_residual(const ResidualArgs& args) override {
    ledger_.time("add_residual", [&] { inner_->add_residual(args); });
  }
  void do_silu(const TensorView& x) override {
    ledger_.time("silu", [&] { inner_->silu(x); });
  }
  void do_silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out) override {
    ledger_.time("silu_mul", [&] { inner_->silu_mul(gate, up, out); });
  }
  void do_sigmoid_mul(const TensorView& gate, const TensorView& x, const TensorView& out) override {
    ledger_.time("sigmoid_mul", [&] { inner_->sigmoid_mul(gate, x, out); });
  }
  void do_rope(const RopeArgs& args) override {
    ledger_.time("rope", [&] { inner_->rope(args); });
  }
  void do_store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv,
                   const Ragged& rows) override {
    ledger_.time("store_kv", [&] { inner_->store_kv(k, v, kv, rows); });
  }
  void do_softmax_attention(const SoftmaxArgs& args) override {
    ledger_.time("softmax_attention", [&] { inner_->softmax_attention(args); });
  }
  void do_lightning_attention(const LightningArgs& args) override {
    ledger_.time("lightning_attention", [&] { inner_->lightning_attention(args); });
  }
  void do_route_topk(const TensorView& logits, const TensorView& ids) override {
    ledger_.time("route_topk", [&] { inner_->route_topk(logits, ids); });
  }
  void do_route_weights(const TensorView& logits, const TensorView& ids,
                        const TensorView& weights) override {
    ledger_.time("route_weights", [&] { inner_->route_weights(logits, ids, weights); });
  }
  void do_group_by_expert(const TensorView& ids, int num_experts, const Routes& routes) override {
    ledger_.time("group_by_expert", [&] { inner_->group_by_expert(ids, num_experts, routes); });
  }
  void do_gather_rows(const TensorView& x, const TensorView& index,
                      const TensorView& out) override {
    ledger_.time("gather_rows", [&] { inner_->gather_rows(x, index, out); });
  }
  void do_combine_rows(const TensorView& x, const TensorView& positions, const TensorView& weights,
                       const TensorView& out) override {
    ledger_.time("combine_rows", [&] { inner_->combine_rows(x, positions, weights, out); });
  }

  std::unique_ptr<Backend> inner_;
  Ledger& ledger_;
};

/// A folder, or FILE.json[:format].
Model make_model(const std::string& name) {
  const size_t end = name.find(".json");
  if (end == std::string::npos)
    return load_model(name);
  const std::string file = name.substr(0, end + 5);
  RandomModelOptions random;
  if (file.size() < name.size())
    random.format = name.substr(file.size() + 1);
  return make_random_model(read_config(MappedFile(file).text(), file).model, random);
}

std::vector<int32_t> spread_ids(int64_t count, int64_t vocab_size) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(i * 7919 % vocab_size));
  return ids;
}

/// One sequence, fed step by step.
class Sequence {
 public:
  Sequence(const Model& model, const ExecutorOptions& options, int64_t length)
      : executor_(model, options, cache_shape(model.config, options.compute, DType::kBf16),
                  {.pages = (length + kBlockTokens - 1) / kBlockTokens, .live = 1}),
        ids_(spread_ids(length, model.config.vocab_size)),
        pages_(static_cast<size_t>(executor_.storage().sizes().pages)) {
    std::iota(pages_.begin(), pages_.end(), 0);
  }

  void feed(int64_t start, int64_t count) {
    const StepRows rows{
        .tokens = std::span(ids_).subspan(static_cast<size_t>(start), static_cast<size_t>(count)),
        .start = start,
        .pages = pages_,
        .logits = 1};
    executor_.run({&rows, 1});
  }

  std::string backend_name() { return executor_.backend().name(); }

 private:
  Executor executor_;
  std::vector<int32_t> ids_;
  std::vector<int32_t> pages_;
};

/// Seconds of some rounds of `work`, after one that warms up.
template <typename Work>
double time_rounds(Ledger& ledger, Work&& work) {
  double start = 0;
  for (int round = -1; round < kRounds; ++round) {
    if (round == 0) {
      ledger.clear();
      start = now();
    }
    work();
  }
  return now() - start;
}

void run(const std::string& name, int threads, int64_t prompt, int64_t decode, int64_t depth) {
  const Model model = make_model(name);
  Ledger ledger;
  ExecutorOptions options{.threads = threads, .max_rows = std::max<int64_t>(prompt, 1)};
  options.wrap_backend = [&](std::unique_ptr<Backend> inner) {
    return std::make_unique<ProfiledBackend>(std::move(inner), ledger);
  };
  Sequence sequence(model, options, depth + std::max<int64_t>({prompt, decode, 1}));
  fmt::print("{}\n", sequence.backend_name());
  if (prompt > 0) {
    const double seconds = time_rounds(ledger, [&] { sequence.feed(depth, prompt); });
    ledger.print(fmt::format("prefill of {} at {}", prompt, depth), seconds, kRounds);
  }
  if (decode > 0) {
    const double seconds = time_rounds(ledger, [&] {
      for (int64_t i = 0; i < decode; ++i) sequence.feed(depth + i, 1);
    });
    ledger.print(fmt::format("decode of {} at {}", decode, depth), seconds, decode * kRounds);
  }
}

}  // namespace
}  // namespace mm

int main(int argc, char** argv) {
  const auto number = [&](int i, int value) { return argc > i ? std::atoi(argv[i]) : value; };
  try {
    if (argc < 2)
      mm::bad_input(
          "usage: mm_step_profile MODEL [threads] [prompt tokens] [decoded tokens] [depth]");
    mm::run(argv[1], number(2, 2), number(3, 512), number(4, 128), number(5, 0));
  } catch (const std::exception& error) {
    fmt::print(stderr, "mm_step_profile: {}\n", error.what());
    return 1;
  }
  return 0;
}
