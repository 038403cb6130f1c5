#include "bench_ceilings.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/cpu/ceilings.h"
#include "ops/cuda/ceilings.h"

namespace mm::cli {

namespace {

constexpr double kGiga = 1e9;

class HostCeilings final : public BenchCeilings {
 public:
  explicit HostCeilings(ThreadPool& pool) : read_(pool), product_(pool) {}
  double read() override { return read_.measure() * kGiga; }
  double copy() override { return 0; }
  /// Through our kernels or oneDNN, whichever is faster.
  double product() override {
    return std::max(product_.measure_own(), product_.measure_onednn(DType::kBf16).value_or(0)) *
           kGiga;
  }
  std::string product_by() const override {
    return fmt::format("own kernels or oneDNN ({})", product_.onednn_status());
  }

 private:
  cpu::ReadCeiling read_;
  cpu::ProductCeiling product_;
};

class DeviceCeilings final : public BenchCeilings {
 public:
  explicit DeviceCeilings(Device device) : ceilings_(device) {}
  double read() override { return ceilings_.read(); }
  double copy() override { return ceilings_.copy(); }
  double product() override { return ceilings_.product(); }
  std::string product_by() const override { return "cuBLASLt, 8192 x 8192 x 8192"; }

 private:
  CudaCeilings ceilings_;
};

}  // namespace

std::unique_ptr<BenchCeilings> make_ceilings(Device device, ThreadPool& pool) {
  if (device.is_host()) {
    return std::make_unique<HostCeilings>(pool);
  }
  return std::make_unique<DeviceCeilings>(device);
}

}  // namespace mm::cli
