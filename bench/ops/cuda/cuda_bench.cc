// Times the kernels of ops/cuda against ceilings of the same run:
//   mm_cuda_bench [--json FILE] [lightning|experts|softmax|sampling|upload]…  all by default
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <string>

#include "base/error.h"
#include "base/json_value.h"
#include "base/version.h"
#include "bench/ops/cuda/device.h"
#include "ops/cuda/check.h"

namespace mm::bench {
namespace {

constexpr std::array kGroups = {"lightning", "experts", "softmax", "sampling", "upload"};

struct Options {
  std::string json;
  std::vector<std::string> groups;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--json" && i + 1 < argc) {
      options.json = argv[++i];
    } else if (std::find(kGroups.begin(), kGroups.end(), argument) != kGroups.end()) {
      options.groups.push_back(argument);
    } else {
      bad_input(
          "unknown argument {}: expected --json FILE, lightning, experts, softmax, sampling or "
          "upload",
          argument);
    }
  }
  if (options.groups.empty())
    options.groups.assign(kGroups.begin(), kGroups.end());
  return options;
}

double ratio(const Row& row, const Ceilings& ceilings) {
  const double rate = row.amount / row.seconds;
  if (row.ceiling > 0)
    return rate / row.ceiling;
  return rate / (row.is_bytes ? ceilings.read : ceilings.product);
}

std::string limit_of(const Row& row) {
  if (!row.of.empty())
    return row.of;
  return row.is_bytes ? "read" : "product";
}

void print(const std::vector<Row>& rows, const Ceilings& ceilings) {
  fmt::print("ceilings: copy {:.0f} GB/s, read {:.0f} GB/s, bf16 8192^3 {:.0f} TFLOP/s\n",
             ceilings.copy * 1e-9, ceilings.read * 1e-9, ceilings.product * 1e-12);
  for (const Row& row : rows) {
    const double rate = row.amount / row.seconds;
    fmt::print("{:<20} {:<34} {:>10.3f} {:<9} {:>7.0f} {:<8} {:>5.1f} % of {}\n", row.name,
               row.shape, row.value, row.per, rate * (row.is_bytes ? 1e-9 : 1e-12),
               row.is_bytes ? "GB/s" : "TFLOP/s", 100 * ratio(row, ceilings), limit_of(row));
  }
}

Json report(const std::vector<Row>& rows, const Ceilings& ceilings, const Options& options) {
  cudaDeviceProp properties{};
  MM_CUDA(cudaGetDeviceProperties(&properties, 0));
  Json result;
  result["version"] = version_string();
  result["commit"] = commit();
  result["device"] = properties.name;
  result["flags"] = options.groups;
  result["data"] = "random";
  result["ceilings"] = {{"copy_gb_per_second", ceilings.copy * 1e-9},
                        {"read_gb_per_second", ceilings.read * 1e-9},
                        {"bf16_8192_tflops", ceilings.product * 1e-12}};
  for (const Row& row : rows)
    result["rows"].push_back({{"name", row.name},
                              {"shape", row.shape},
                              {"seconds_median", row.seconds},
                              {row.is_bytes ? "bytes" : "flop", row.amount},
                              {row.per, row.value},
                              {"ratio", ratio(row, ceilings)},
                              {"of", limit_of(row)}});
  return result;
}

void run(const Options& options) {
  cudaStream_t stream = nullptr;
  MM_CUDA(cudaSetDevice(0));
  MM_CUDA(cudaStreamCreate(&stream));
  const Ceilings ceilings = measure_ceilings();
  std::vector<Row> rows;
  for (const std::string& group : options.groups) {
    if (group == "lightning")
      bench_lightning(stream, rows);
    if (group == "experts")
      bench_experts(stream, rows);
    if (group == "softmax")
      bench_softmax(stream, rows);
    if (group == "sampling")
      bench_sampling(stream, rows);
    if (group == "upload")
      bench_upload(stream, rows);
  }
  print(rows, ceilings);
  if (!options.json.empty())
    std::ofstream(options.json) << report(rows, ceilings, options).dump(2) << "\n";
}

}  // namespace
}  // namespace mm::bench

int main(int argc, char** argv) {
  try {
    mm::bench::run(mm::bench::parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mm_cuda_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
