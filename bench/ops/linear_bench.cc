/// Speed of the CPU's matrix products against what the machine can do.
///
///   mm_linear_bench [THREADS [PAIRS [FILTER]]]
///
/// For every weight format and shape: checks some outputs against a plain loop, then measures the
/// product and its ceiling in turn, PAIRS times, and prints medians and the median of the pairs'
/// ratios. One row of x: the weights pass by once (a quarter gigabyte of different matrices), the
/// ceiling is the read bandwidth. Many rows: the ceiling is the best large bf16 product of our own
/// and of oneDNN; the last column is the share of the multiply-add units' peak. FILTER is a part
/// of a line's first words, e.g. "int8 T 512".
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/float_types.h"
#include "base/rng.h"
#include "base/thread_pool.h"
#include "ops/cpu/ceilings.h"
#include "ops/cpu/linear.h"
#include "tensor/tensor.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mm::cpu {
namespace {

constexpr int64_t kStreamBytes = int64_t{256} << 20;
constexpr int kGroup = 128;

enum class Format { kBf16, kInt8, kInt4 };

struct Shape {
  int64_t t, n, k;
};

const std::vector<Shape> kShapes = {{1, 200064, 512}, {1, 512, 512},    {1, 1536, 512},
                                    {1, 2048, 2048},  {1, 256, 256},    {8, 1536, 512},
                                    {512, 512, 512},  {512, 1536, 512}, {512, 2048, 2048},
                                    {512, 256, 256},  {512, 1536, 256}};

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Random weights [n, k] of one format, `copies` times one after another.
class Weights {
 public:
  Weights(Format format, const Shape& shape, int64_t copies) : format_(format), shape_(shape) {
    const int64_t rows = shape.n * copies;
    if (format == Format::kBf16)
      data_ = Tensor(DType::kBf16, {rows, shape.k});
    else if (format == Format::kInt8)
      data_ = Tensor(DType::kI8, {rows, shape.k});
    else
      data_ = Tensor(DType::kI32, {rows, shape.k / 8});
    scales_ = format == Format::kInt8 ? Tensor(DType::kF32, {rows, 1})
                                      : Tensor(DType::kBf16, {rows, shape.k / kGroup});
    auto* words = static_cast<uint32_t*>(data_.view().data);
    for (int64_t i = 0; i < data_.view().bytes() / 4; i += 4) {
      const auto random = philox(1, 2, static_cast<uint64_t>(i));
      for (int64_t j = 0; j < 4 && i + j < data_.view().bytes() / 4; ++j)  // bf16: in (-2, 2)
        words[i + j] =
            random[static_cast<size_t>(j)] & (format == Format::kBf16 ? 0xbfffbfffU : ~0U);
    }
    for (int64_t i = 0; i < scales_.view().numel(); ++i) {
      const float scale = 0.01F + 0.0001F * static_cast<float>(i % 50);
      if (format == Format::kInt8)
        scales_.ptr<float>()[i] = scale;
      else
        scales_.ptr<BFloat16>()[i] = to_bfloat16(scale);
    }
  }

  Weight copy(int64_t index) const {
    Weight weight = Weight::dense(data_.view());
    weight.cols = shape_.k;
    if (format_ != Format::kBf16) {
      weight.format =
          format_ == Format::kInt8 ? QuantFormat::kInt8Channel : QuantFormat::kInt4Group;
      weight.scales = scales_.view();
      weight.group_size = kGroup;
    }
    return weight.slice_rows(index * shape_.n, (index + 1) * shape_.n);
  }

  /// Element [n, k] of copy 0.
  double at(int64_t n, int64_t k) const {
    const int64_t i = n * shape_.k + k;
    if (format_ == Format::kBf16)
      return to_float(data_.ptr<BFloat16>()[i]);
    if (format_ == Format::kInt8)
      return static_cast<double>(data_.ptr<int8_t>()[i]) * scales_.ptr<float>()[n];
    const int nibble = static_cast<const uint8_t*>(data_.view().data)[i / 2] >> (i % 2 * 4) & 15;
    return static_cast<double>(nibble - 8) * to_float(scales_.ptr<BFloat16>()[i / kGroup]);
  }

 private:
  Format format_;
  Shape shape_;
  Tensor data_;
  Tensor scales_;
};

/// Compares up to 200 outputs with a plain loop; f32 sums differ by a few 2^-24 of Σ|x||w|.
void check(const Shape& shape, const Weights& weights, const TensorView& x, const TensorView& out) {
  const int64_t count = shape.t * shape.n;
  for (int64_t i = 0; i < count; i += 1 + count / 200) {
    double sum = 0;
    double magnitude = 0;
    for (int64_t k = 0; k < shape.k; ++k) {
      const double term =
          to_float(x.ptr<BFloat16>()[i / shape.n * shape.k + k]) * weights.at(i % shape.n, k);
      sum += term;
      magnitude += std::abs(term);
    }
    if (!(std::abs(out.ptr<float>()[i] - sum) <= 1e-5 * magnitude))
      raise(ErrorKind::kInternal, "output {} is {}, a plain loop gives {}; the kernel is wrong", i,
            out.ptr<float>()[i], sum);
  }
}

/// GFLOP/s of dependent-free multiply-adds on all threads; 0 where we have no such loop.
double fma_peak(ThreadPool& pool);

struct Bench {
  ThreadPool pool;
  LinearScratch scratch;
  ReadCeiling reading;
  ProductCeiling product;
  int pairs;
  bool onednn = true;

  Bench(int threads, int pairs_in) : pool(threads), reading(pool), product(pool), pairs(pairs_in) {}

  /// The higher of our own large product and oneDNN's.
  double product_ceiling() {
    double best = product.measure_own();
    if (onednn) {
      const std::optional<double> theirs = product.measure_onednn(DType::kBf16);
      onednn = theirs.has_value();
      best = std::max(best, theirs.value_or(0));
    }
    return best;
  }

  void run(const std::string& name, Format format, const Shape& shape) {
    const int64_t bytes = Weights(format, {1, shape.n, shape.k}, 1).copy(0).bytes();
    const bool streams = shape.t < 64;
    const int64_t copies = streams ? std::max<int64_t>(1, kStreamBytes / bytes) : 1;
    const Weights weights(format, shape, copies);
    const Tensor x(DType::kBf16, {shape.t, shape.k});
    for (int64_t i = 0; i < shape.t * shape.k; ++i)
      x.ptr<BFloat16>()[i] =
          to_bfloat16(static_cast<float>(philox_uniform(3, 4, static_cast<uint64_t>(i)) * 2 - 1));
    const Tensor out(DType::kF32, {shape.t, shape.n});
    linear(pool, scratch, x, weights.copy(0), out);
    check(shape, weights, x, out);

    const double flops = 2.0 * static_cast<double>(shape.t * shape.n * shape.k);
    const int64_t rounds =
        streams ? copies : std::max<int64_t>(1, static_cast<int64_t>(4e9 / flops));
    std::vector<double> speeds;
    std::vector<double> ratios;
    std::vector<double> peaks;
    for (int pair = 0; pair < pairs; ++pair) {
      const double ceiling = streams ? reading.measure() : product_ceiling();
      const double peak = streams ? 0 : fma_peak(pool);
      const double seconds = seconds_of([&] {
        for (int64_t i = 0; i < rounds; ++i)
          linear(pool, scratch, x, weights.copy(i % copies), out);
      });
      const double work =
          (streams ? static_cast<double>(bytes) : flops) * static_cast<double>(rounds);
      speeds.push_back(work / seconds * 1e-9);
      ratios.push_back(100 * speeds.back() / ceiling);
      peaks.push_back(peak > 0 ? 100 * speeds.back() / peak : 0);
    }
    fmt::print("{:32} {:8.1f} {} {:6.1f} % of ceiling", name, median(speeds),
               streams ? "GB/s   " : "GFLOP/s", median(ratios));
    if (median(peaks) > 0)
      fmt::print(" {:6.1f} % of peak", median(peaks));
    fmt::print("\n");
    std::fflush(stdout);
  }
};

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) float chain_avx2(int64_t rounds) {
  __m256 sums[12];
  for (__m256& sum : sums) sum = _mm256_set1_ps(1);
  const __m256 factor = _mm256_set1_ps(0.999F);
  for (int64_t i = 0; i < rounds; ++i) {
    // Written out: an array indexed in a loop would live in memory.
#define MM_STEP(j) sums[j] = _mm256_fmadd_ps(sums[j], factor, factor)
    MM_STEP(0);
    MM_STEP(1);
    MM_STEP(2);
    MM_STEP(3);
    MM_STEP(4);
    MM_STEP(5);
    MM_STEP(6);
    MM_STEP(7);
    MM_STEP(8);
    MM_STEP(9);
    MM_STEP(10);
    MM_STEP(11);
#undef MM_STEP
  }
  for (int j = 1; j < 12; ++j) sums[0] = _mm256_add_ps(sums[0], sums[j]);
  return _mm256_cvtss_f32(sums[0]);
}

double fma_peak(ThreadPool& pool) {
  if (!is_available(LinearIsa::kAvx2))
    return 0;
  constexpr int64_t kRounds = 1000000;
  std::vector<float> results(static_cast<size_t>(pool.size()));
  const double seconds = seconds_of([&] {
    pool.run([&](int thread) { results[static_cast<size_t>(thread)] = chain_avx2(kRounds); });
  });
  const double flops = 12.0 * 16.0 * kRounds * pool.size();
  return results[0] > 0 ? flops / seconds * 1e-9 : 0;
}
#else
double fma_peak(ThreadPool&) {
  return 0;
}
#endif

void run_all(int threads, int pairs, const std::string& filter) {
  Bench bench(threads, pairs);
  fmt::print("{} threads, {}, kernels {}\n", threads, cpu_features(),
             to_string(bench.scratch.isa()));
  fmt::print("read bandwidth {:.1f} GB/s; large product: own {:.1f}, ", bench.reading.measure(),
             bench.product.measure_own());
  const std::optional<double> f32 = bench.product.measure_onednn(DType::kF32);
  const std::optional<double> bf16 = bench.product.measure_onednn(DType::kBf16);
  fmt::print("oneDNN f32 {:.1f}, bf16 {:.1f} GFLOP/s ({}); multiply-add peak {:.1f}\n",
             f32.value_or(0), bf16.value_or(0), bench.product.onednn_status(),
             fma_peak(bench.pool));
  const char* names[] = {"bf16", "int8", "int4"};
  for (Format format : {Format::kBf16, Format::kInt8, Format::kInt4}) {
    for (const Shape& shape : kShapes) {
      const std::string name = fmt::format("{} T {} N {} K {}", names[static_cast<int>(format)],
                                           shape.t, shape.n, shape.k);
      if (name.find(filter) != std::string::npos)
        bench.run(name, format, shape);
    }
  }
}

}  // namespace
}  // namespace mm::cpu

int main(int argc, char** argv) {
  try {
    mm::cpu::run_all(argc > 1 ? std::atoi(argv[1]) : 2, argc > 2 ? std::atoi(argv[2]) : 5,
                     argc > 3 ? argv[3] : "");
  } catch (const std::exception& error) {
    fmt::print(stderr, "mm_linear_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
