// Both attentions and the small ops of a step on the CPU: time, GFLOP/s, share of the measured
// peak of fused multiply-adds, GB/s. Every figure is the median of several runs.
//
//   mm_attention_bench [threads] [filter]
#include <fmt/format.h>
#include <immintrin.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "ops/cpu/backend.h"
#include "tests/ops/attention_fixtures.h"

namespace {

using namespace mm;           // NOLINT(google-build-using-namespace): a program, not a library
using namespace mm::testing;  // NOLINT(google-build-using-namespace)

// Processor time of this thread: on a busy machine only that is comparable. With more threads the
// calling thread also spins for the others, so it is the time of a call as long as each has a core.
double now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double seconds_of(const std::function<void()>& work) {
  const double begin = now();
  work();
  return now() - begin;
}

// Median seconds of one call.
double median_time(const std::function<void()>& work) {
  const double once = std::max(seconds_of(work), 1e-7);
  const int repeats = std::clamp(static_cast<int>(0.02 / once), 1, 100000);
  std::vector<double> times;
  for (int i = 0; i < 9; ++i) {
    times.push_back(seconds_of([&] {
                      for (int r = 0; r < repeats; ++r) work();
                    }) /
                    repeats);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Twelve independent chains of 8-lane fused multiply-adds.
__attribute__((target("avx2,fma"))) float multiply_add(int64_t count) {
  __m256 sum[12];
  for (__m256& s : sum) s = _mm256_set1_ps(1);
  const __m256 a = _mm256_set1_ps(0.999f);
  const __m256 b = _mm256_set1_ps(0.001f);
  for (int64_t i = 0; i < count; ++i) {
#pragma GCC unroll 12
    for (__m256& s : sum) s = _mm256_fmadd_ps(s, a, b);
  }
  float total = 0;
  for (const __m256& s : sum) total += _mm256_cvtss_f32(s);
  return total;
}

// GFLOP/s of all threads together.
double peak(ThreadPool& pool) {
  constexpr int64_t kCount = 2000000;
  volatile float sink = 0;
  const double time = median_time([&] { pool.run([&](int) { sink = multiply_add(kCount); }); });
  return static_cast<double>(kCount * 12 * 16 * pool.size()) / time * 1e-9;
}

struct Bench {
  ThreadPool& pool;
  Backend& backend;
  std::string filter;

  void report(const std::string& name, double flops, double bytes,
              const std::function<void()>& work) const {
    if (name.find(filter) == std::string::npos)
      return;
    const double before = peak(pool);
    const double time = median_time(work);
    const double best = (before + peak(pool)) / 2;
    fmt::print("{:44} {:10.2f} us {:8.1f} GFLOP/s {:5.1f} % of {:.0f} {:7.1f} GB/s\n", name,
               time * 1e6, flops / time * 1e-9, flops / time * 1e-7 / best, best,
               bytes / time * 1e-9);
  }
};

// Rows [row, row + count) of a step of one sequence at position `start`.
LightningArgs lightning_step(const LightningProblem& problem, const Step& step, int64_t row,
                             const TensorView& slots, const TensorView& out) {
  const TensorView qkv = problem.qkv().view().slice(row, row + step.rows);
  LightningArgs args;
  args.q = problem.third(qkv, 0);
  args.k = problem.third(qkv, 1);
  args.v = problem.third(qkv, 2);
  args.slopes = problem.slopes();
  args.rows = step.ragged();
  args.slots = slots;
  args.states = problem.states();
  args.tail_k = problem.tail_k();
  args.tail_v = problem.tail_v();
  args.out = out.slice(0, step.rows);
  return args;
}

void lightning(const Bench& bench, int64_t heads, int64_t size, DType type) {
  const int64_t rows = 512;
  const AttentionShape shape{heads, heads, size, type, type};
  const LightningProblem problem(shape, {rows});
  const Tensor slots = ints({1});
  const Tensor out(DType::kF32, {rows, heads, size});
  const std::string name = fmt::format("lightning H={} K={} {}", heads, size, to_string(type));
  const double pairs = static_cast<double>(heads * size);
  // Both state products in full, half of the tail products.
  const double prefill = pairs * rows * 2 * (2.0 * static_cast<double>(size) + 64);
  const Step whole({{0, rows}});
  const LightningArgs all = lightning_step(problem, whole, 0, slots, out);
  bench.report(name + " prefill 512", prefill, 0, [&] { bench.backend.lightning_attention(all); });
  const double state_bytes = pairs * static_cast<double>(size) * 4;
  const Step middle({{rows + 31, 1}});
  const LightningArgs one = lightning_step(problem, middle, 31, slots, out);
  bench.report(name + " decode", pairs * 2 * static_cast<double>(size + 64), state_bytes,
               [&] { bench.backend.lightning_attention(one); });
}

// The last `rows` rows of a context as one chunk, and its last row alone.
void softmax(const Bench& bench, const AttentionShape& shape, int64_t context, int64_t rows = 256) {
  const int64_t blocks = context / kBlockTokens;
  Random random(1);
  const Tensor q = random_tensor(random, shape.dtype, {rows, shape.heads, shape.size});
  const Tensor out(shape.dtype, {rows, shape.heads, shape.size});
  const Tensor pages =
      random_tensor(random, shape.cache, {blocks, shape.kv_heads, 2, kBlockTokens, shape.size});
  const Tensor table(DType::kI32, {1, blocks});
  for (int64_t i = 0; i < blocks; ++i) table.ptr<int32_t>()[i] = static_cast<int32_t>(i);
  const PagedKv kv{pages, table};
  const auto scale = 1 / std::sqrt(static_cast<float>(shape.size));
  const std::string name = fmt::format("softmax H={} G={} K={} {} at {}", shape.heads,
                                       shape.kv_heads, shape.size, to_string(shape.cache), context);
  const double products = 4.0 * static_cast<double>(shape.heads * shape.size);
  const double mean_keys = static_cast<double>(context) - static_cast<double>(rows) / 2;
  const Step chunk({{context - rows, rows}});
  bench.report(fmt::format("{} prefill {}", name, rows),
               products * static_cast<double>(rows) * mean_keys, 0, [&] {
                 bench.backend.softmax_attention({q, kv, chunk.ragged(), scale, out});
               });
  const double bytes =
      2.0 * static_cast<double>(context * shape.kv_heads * shape.size * size_of(shape.cache));
  const Step last({{context - 1, 1}});
  bench.report(name + " decode", products * static_cast<double>(context), bytes, [&] {
    bench.backend.softmax_attention(
        {q.view().slice(0, 1), kv, last.ragged(), scale, out.view().slice(0, 1)});
  });
}

// The small ops of one layer of a model of hidden size 256.
void small_ops(const Bench& bench, int64_t rows) {
  Random random(1);
  const Tensor x = random_tensor(random, DType::kF32, {rows, 256});
  const Tensor wide = random_tensor(random, DType::kF32, {rows, 1536});
  const Tensor weight = random_tensor(random, DType::kF32, {256});
  const Tensor out(DType::kBf16, {rows, 256});
  const Tensor sum(DType::kF32, {rows, 256});
  const Tensor positions(DType::kI32, {rows});
  for (int64_t i = 0; i < rows; ++i) positions.ptr<int32_t>()[i] = static_cast<int32_t>(1000 + i);
  Tensor heads = random_tensor(random, DType::kF32, {rows, 4, 128});
  Tensor logits = random_tensor(random, DType::kF32, {rows, 8});
  const Tensor ids(DType::kI32, {rows, 2});
  Backend& backend = bench.backend;
  const auto name = [&](const char* op) { return fmt::format("{} T={}", op, rows); };
  const double bytes = static_cast<double>(rows) * 256 * 4;
  bench.report(name("rms_norm 256"), 0, bytes, [&] { backend.rms_norm(x, weight, 1e-5f, out); });
  bench.report(name("cast 256"), 0, bytes, [&] { backend.cast(x, out); });
  bench.report(name("add_scaled 256"), 0, bytes, [&] { backend.add_scaled(x, 2, x, 1, sum); });
  bench.report(name("silu 1536"), 0, 6 * bytes, [&] { backend.silu(wide); });
  bench.report(name("silu_mul 256"), 0, bytes, [&] { backend.silu_mul(x, x, out); });
  bench.report(name("sigmoid_mul 256"), 0, bytes, [&] { backend.sigmoid_mul(x, x, out); });
  bench.report(name("rope 4x128, 64"), 0, 2 * bytes, [&] {
    backend.rope({heads, positions, 64, 1e6});
  });
  bench.report(name("route_topk 2 of 8"), 0, 0, [&] { backend.route_topk(logits, ids); });
}

void run_all(int threads, const std::string& filter) {
  ThreadPool pool(threads);
  const auto backend = make_cpu_backend(pool);
  const Bench bench{pool, *backend, filter};
  fmt::print("{}\n", backend->name());
  for (int64_t rows : {1, 512}) small_ops(bench, rows);
  for (DType type : {DType::kF32, DType::kBf16}) {
    lightning(bench, 8, 64, type);
    lightning(bench, 4, 128, type);
    lightning(bench, 64, 128, type);
    for (int64_t context : {4096, 32768}) {
      softmax(bench, {8, 2, 64, type, type}, context);
      softmax(bench, {4, 1, 128, type, type}, context);
    }
    softmax(bench, {4, 1, 128, type, type}, 131072, 512);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run_all(argc > 1 ? std::atoi(argv[1]) : available_cores(), argc > 2 ? argv[2] : "");
  } catch (const std::exception& error) {
    fmt::print(stderr, "mm_attention_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
