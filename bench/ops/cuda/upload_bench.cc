// Weights on their way to the device: host memory that is not pinned, as a mapped file, through
// StagedUpload, beside what the bus takes from pinned memory.
#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/check.h"
#include "bench/ops/cuda/device.h"
#include "ops/cuda/check.h"

namespace mm::bench {
namespace {

constexpr int64_t kBytes = int64_t{4} << 30;
constexpr int64_t kPinnedBytes = int64_t{256} << 20;  // sent again and again: pinning 4 GiB is slow
constexpr int kPairs = 5;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Anonymous pages that are present, as those of a file that was read before.
class Pages {
 public:
  explicit Pages(int64_t bytes) : bytes_(static_cast<size_t>(bytes)) {
    data_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MM_CHECK(data_ != MAP_FAILED, "no {} bytes of memory", bytes);
    std::memset(data_, 1, bytes_);
  }
  ~Pages() { munmap(data_, bytes_); }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  const char* data() const { return static_cast<const char*>(data_); }

 private:
  void* data_;
  size_t bytes_;
};

double pinned_seconds(const DeviceArray& to, const void* pinned, cudaStream_t stream) {
  const double begin = now();
  for (int64_t at = 0; at < kBytes; at += kPinnedBytes)
    MM_CUDA(
        cudaMemcpyAsync(to.as<char>() + at, pinned, kPinnedBytes, cudaMemcpyHostToDevice, stream));
  MM_CUDA(cudaStreamSynchronize(stream));
  return now() - begin;
}

double staged_seconds(StagedUpload& upload, const DeviceArray& to, const Pages& from) {
  const double begin = now();
  upload.add(to.data(), from.data(), kBytes);
  upload.finish();
  return now() - begin;
}

}  // namespace

void bench_upload(cudaStream_t stream, std::vector<Row>& rows) {
  const DeviceArray to(DType::kU8, kBytes);
  const Pages from(kBytes);
  void* pinned = pinned_allocate(cuda_device(), kPinnedBytes);
  std::vector<double> ceilings;
  std::vector<double> times;
  {
    StagedUpload upload(cuda_device());
    staged_seconds(upload, to, from);
    pinned_seconds(to, pinned, stream);
    // In turns: what else runs on the machine slows both.
    for (int i = 0; i < kPairs; ++i) {
      ceilings.push_back(pinned_seconds(to, pinned, stream));
      times.push_back(staged_seconds(upload, to, from));
    }
  }
  pinned_free(pinned);
  std::sort(ceilings.begin(), ceilings.end());
  std::sort(times.begin(), times.end());
  const double ceiling = ceilings[kPairs / 2];
  const double time = times[kPairs / 2];
  const auto add = [&](const char* name, double seconds) {
    rows.push_back({.name = name,
                    .shape = "4 GiB, 4 x 16 MiB pinned",
                    .seconds = seconds,
                    .amount = static_cast<double>(kBytes),
                    .per = "GB/s",
                    .value = static_cast<double>(kBytes) / seconds * 1e-9,
                    .ceiling = static_cast<double>(kBytes) / ceiling,
                    .of = "pinned"});
  };
  add("pinned copy", ceiling);
  add("staged upload", time);
}

}  // namespace mm::bench
