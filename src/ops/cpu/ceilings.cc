#include "ops/cpu/ceilings.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "base/error.h"
#include "base/float_types.h"
#include "ops/cpu/linear.h"
#include "ops/cpu/onednn.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mm::cpu {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// ---- reading -----------------------------------------------------------------------------------

constexpr int64_t kMinReadBytes = int64_t{512} << 20;
constexpr int64_t kReadUnit = 512;  // bytes of one round of the loops below

/// The sum of some 64-bit words: a result that depends on every byte, so nothing can be left out.
uint64_t sum_portable(const uint8_t* p, int64_t bytes) {
  using Words = uint64_t __attribute__((vector_size(16)));
  Words sums[8] = {};
  for (int64_t i = 0; i < bytes; i += 128) {
    for (int j = 0; j < 8; ++j) {
      Words words;
      __builtin_memcpy(&words, p + i + j * 16, sizeof(words));
      sums[j] += words;
    }
  }
  for (int j = 1; j < 8; ++j) sums[0] += sums[j];
  return sums[0][0] + sums[0][1];
}

#if defined(__x86_64__)
/// `ahead` bytes ahead, every line is prefetched; 0: none.
template <int kAhead>
__attribute__((target("avx2"))) uint64_t sum_avx2(const uint8_t* p, int64_t bytes) {
  __m256i sums[8];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (int64_t i = 0; i < bytes; i += 256) {
    if (kAhead != 0) {
      for (int line = 0; line < 4; ++line) __builtin_prefetch(p + i + kAhead + line * 64);
    }
    for (int j = 0; j < 8; ++j)
      sums[j] = _mm256_add_epi64(
          sums[j], _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + i + j * 32)));
  }
  for (int j = 1; j < 8; ++j) sums[0] = _mm256_add_epi64(sums[0], sums[j]);
  alignas(32) uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sums[0]);
  return lanes[0] + lanes[1] + lanes[2] + lanes[3];
}
#endif

using Sum = uint64_t (*)(const uint8_t*, int64_t);

double read_once(ThreadPool& pool, const Buffer& buffer, Sum sum) {
  std::atomic<uint64_t> total{0};
  const auto start = Clock::now();
  pool.parallel_for(buffer.size(), kReadUnit, [&](int64_t begin, int64_t end, int) {
    total.fetch_add(sum(static_cast<const uint8_t*>(buffer.data()) + begin, end - begin),
                    std::memory_order_relaxed);
  });
  const double seconds = seconds_since(start);
  // Used, so that the sum is not dropped; never true.
  return total.load() == 1 ? 0 : static_cast<double>(buffer.size()) / seconds * 1e-9;
}

int64_t read_bytes() {
  const int64_t cache = std::max<int64_t>(0, sysconf(_SC_LEVEL3_CACHE_SIZE));
  const int64_t memory = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  return std::min(std::max(kMinReadBytes, 8 * cache), memory / 8) / kReadUnit * kReadUnit;
}

}  // namespace

ReadCeiling::ReadCeiling(ThreadPool& pool) : pool_(pool), buffer_(read_bytes()) {
  // Written once: pages never written to are all one page of zeros in the cache.
  auto* words = static_cast<uint64_t*>(buffer_.data());
  pool_.parallel_for(buffer_.size() / 8, kReadUnit / 8, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) words[i] = static_cast<uint64_t>(i) * 2 + 2;
  });
}

double ReadCeiling::measure() {
#if defined(__x86_64__)
  if (is_available(LinearIsa::kAvx2))
    return std::max(read_once(pool_, buffer_, sum_avx2<0>),
                    read_once(pool_, buffer_, sum_avx2<1024>));
#endif
  return read_once(pool_, buffer_, sum_portable);
}

// ---- products ----------------------------------------------------------------------------------

namespace {

constexpr int64_t kRows = 512;
constexpr int64_t kWidths[] = {2048, 4096};  // outputs = columns
// oneDNN's own threads go on polling for work after a product.
constexpr auto kSettle = std::chrono::milliseconds(10);

double gflops(int64_t width, double seconds) {
  return 2e-9 * static_cast<double>(kRows * width * width) / seconds;
}

Tensor small_numbers(int64_t rows, int64_t cols) {
  Tensor tensor(DType::kBf16, {rows, cols});
  auto* values = tensor.ptr<BFloat16>();
  for (int64_t i = 0; i < rows * cols; ++i)
    values[i].bits = static_cast<uint16_t>(0x3c00 + i * 37 % 0x200);
  return tensor;
}

}  // namespace

struct ProductCeiling::State {
  ThreadPool& pool;
  LinearScratch scratch;
  std::map<int64_t, Tensor> weights;  // by width
  std::map<int64_t, Tensor> inputs;
  std::map<int64_t, Tensor> outputs;
  std::string status;
  std::shared_ptr<const OneDnnApi> onednn;
  std::map<DType, std::map<int64_t, std::unique_ptr<OneDnnMatmul>>> matmuls;

  explicit State(ThreadPool& pool_in) : pool(pool_in) {
    onednn = open_onednn(&status);
    for (int64_t width : kWidths) {
      weights[width] = small_numbers(width, width);
      inputs[width] = small_numbers(kRows, width);
      outputs[width] = Tensor(DType::kF32, {kRows, width});
    }
  }

  OneDnnMatmul& matmul(DType dtype, int64_t width) {
    std::unique_ptr<OneDnnMatmul>& found = matmuls[dtype][width];
    if (!found) {
      found =
          std::make_unique<OneDnnMatmul>(onednn, OneDnnMatmul::Shape{kRows, width, width, dtype});
      found->run(pool.size());  // the first run also makes threads
    }
    return *found;
  }
};

ProductCeiling::ProductCeiling(ThreadPool& pool) : state_(std::make_unique<State>(pool)) {}
ProductCeiling::~ProductCeiling() = default;

const std::string& ProductCeiling::onednn_status() const {
  return state_->status;
}

double ProductCeiling::measure_own() {
  double best = 0;
  for (int64_t width : kWidths) {
    const auto start = Clock::now();
    linear(state_->pool, state_->scratch, state_->inputs[width],
           Weight::dense(state_->weights[width]), state_->outputs[width]);
    best = std::max(best, gflops(width, seconds_since(start)));
  }
  return best;
}

std::optional<double> ProductCeiling::measure_onednn(DType dtype) {
  if (!state_->onednn)
    return std::nullopt;
  double best = 0;
  try {
    for (int64_t width : kWidths) {
      OneDnnMatmul& matmul = state_->matmul(dtype, width);
      const auto start = Clock::now();
      matmul.run(state_->pool.size());
      best = std::max(best, gflops(width, seconds_since(start)));
    }
  } catch (const Error& error) {
    state_->status = error.what();
    return std::nullopt;
  }
  std::this_thread::sleep_for(kSettle);
  return best;
}

}  // namespace mm::cpu
