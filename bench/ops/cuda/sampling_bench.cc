// Drawing tokens where logits lie, V = 200 064, against reading the logits once; the same draws
// through the backend, upload and return of ids included, and on the host's threads.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "base/thread_pool.h"
#include "bench/ops/cuda/device.h"
#include "ops/cuda/backend.h"
#include "ops/cuda/draw_upload.h"
#include "ops/cuda/token_draw.h"
#include "ops/token_draw.h"

namespace mm::bench {
namespace {

constexpr int64_t kVocab = 200'064;
constexpr float kSpread = 2.5F;  // of the logits: as uncertain as a model ever is

struct Mode {
  const char* name;
  TokenDraw draw;
};

/// A conversation's history.
struct History {
  std::vector<int32_t> repeated;
  std::vector<std::pair<int32_t, int32_t>> drawn;

  History() {
    for (int32_t i = 0; i < 500; ++i) {
      repeated.push_back(i * 397);
      drawn.emplace_back(i * 397, 1 + i % 3);
    }
  }
};

std::vector<Mode> modes(const History& history) {
  TokenDraw warm{.temperature = 1, .uniform = 0.7};
  TokenDraw nucleus = warm;
  nucleus.top_p = 0.95F;
  TokenDraw all = nucleus;
  all.top_k = 40;
  all.repeated = history.repeated;
  all.repetition_penalty = 1.1F;
  all.drawn = history.drawn;
  all.presence_penalty = 0.2F;
  all.frequency_penalty = 0.1F;
  return {
      {"greedy", {}}, {"temperature", warm}, {"top_p", nucleus}, {"top_k top_p penalties", all}};
}

/// Median seconds of `work`, by the clock of the host.
template <typename Work>
double host_seconds(int repeats, const Work& work) {
  using Clock = std::chrono::steady_clock;
  work();
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const Clock::time_point begin = Clock::now();
    work();
    times.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// B rows of logits, here and there, and what draws from them.
class Problem {
 public:
  explicit Problem(int64_t rows)
      : rows_(rows),
        logits_(DType::kF32, rows * kVocab, kSpread, 3),
        host_logits_(static_cast<size_t>(rows * kVocab)),
        ids_(DType::kI32, rows),
        host_ids_(Buffer::for_copies(rows * size_of(DType::kI32), cuda_device())),
        drawers_(static_cast<size_t>(pool_.size()), HostTokenDrawer(kVocab)) {
    copy_bytes(host_logits_.data(), Device{}, logits_.data(), cuda_device(), logits_.bytes());
  }

  double kernel_seconds(cudaStream_t stream, const TokenDraw& draw) {
    const std::vector<TokenDraw> draws(static_cast<size_t>(rows_), draw);
    cuda::DrawUpload upload(cuda_device());
    const cuda::TokenDrawParams params{logits_.as<float>(), rows_, kVocab,
                                       upload.send(draws, kVocab, stream), ids_.as<int32_t>()};
    wait_for(cuda_device());
    return seconds(stream, {20, true}, [&] { cuda::launch_token_draw(params, stream); });
  }

  double step_seconds(TokenDrawer& drawer, const TokenDraw& draw) {
    const std::vector<TokenDraw> draws(static_cast<size_t>(rows_), draw);
    TensorView logits = TensorView::contiguous(logits_.data(), DType::kF32, {rows_, kVocab});
    TensorView ids = TensorView::contiguous(ids_.data(), DType::kI32, {rows_});
    logits.device = ids.device = cuda_device();
    return host_seconds(50, [&] {
      drawer.draw_tokens(logits, draws, ids);
      queue_copy(host_ids_.data(), Device{}, ids.data, cuda_device(), ids.bytes());
      wait_for(cuda_device());
    });
  }

  double host_draw_seconds(const TokenDraw& draw) {
    return host_seconds(5, [&] {
      pool_.parallel_for(rows_, 1, [&](int64_t begin, int64_t end, int thread) {
        for (int64_t i = begin; i < end; ++i)
          drawers_[static_cast<size_t>(thread)].draw(
              {host_logits_.data() + i * kVocab, static_cast<size_t>(kVocab)}, draw);
      });
    });
  }

  double bytes() const { return static_cast<double>(logits_.bytes()); }

 private:
  int64_t rows_;
  DeviceArray logits_;
  std::vector<float> host_logits_;
  DeviceArray ids_;
  Buffer host_ids_;
  ThreadPool pool_{available_cores()};
  std::vector<HostTokenDrawer> drawers_;
};

}  // namespace

void bench_sampling(cudaStream_t stream, std::vector<Row>& rows) {
  const History history;
  const std::unique_ptr<Backend> backend = make_cuda_backend({});
  auto& drawer = dynamic_cast<TokenDrawer&>(*backend);
  for (const int64_t count : {1, 8, 64}) {
    Problem problem(count);
    for (const Mode& mode : modes(history)) {
      const std::string shape = fmt::format("B={} {}", count, mode.name);
      const auto add = [&](const char* name, double time, double ceiling, const char* of) {
        rows.push_back({.name = name,
                        .shape = shape,
                        .seconds = time,
                        .amount = problem.bytes(),
                        .per = "us/step",
                        .value = time * 1e6,
                        .ceiling = ceiling,
                        .of = of});
      };
      const double time = problem.kernel_seconds(stream, mode.draw);
      add("draw", time, 0, "");
      add("draw, upload to ids", problem.step_seconds(drawer, mode.draw), problem.bytes() / time,
          "draw");
      add("draw on the host", problem.host_draw_seconds(mode.draw), problem.bytes() / time, "draw");
    }
  }
}

}  // namespace mm::bench
