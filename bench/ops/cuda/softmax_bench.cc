// Softmax attention of one layer of the full model: 64 query heads, 8 key/value heads of 128.
#include <fmt/format.h>

#include <numeric>

#include "bench/ops/cuda/device.h"
#include "ops/cuda/softmax_attention.h"
#include "ops/cuda/softmax_decode.h"
#include "ops/cuda/softmax_prefill_sm90.h"

namespace mm::bench {
namespace {

constexpr int64_t kSize = 128;
constexpr int kHeads = 64;
constexpr int kKvHeads = 8;

/// The last `rows` rows of one sequence of `keys` tokens, pages in a scattered order.
struct Problem {
  Problem(int64_t keys, int64_t rows, DType kv = DType::kBf16)
      : blocks((keys + 63) / 64),
        q(DType::kBf16, rows * kHeads * kSize, 1, 1),
        pages(kv, blocks * kKvHeads * 2 * 64 * kSize, 1, 2),
        scales(DType::kF32, is_scaled(kv) ? blocks * kKvHeads * 2 * 64 : 1, 1, 3),
        out(DType::kBf16, rows * kHeads * kSize),
        table(DType::kI32, scattered(blocks)),
        offsets(DType::kI32, std::vector<int32_t>{0, static_cast<int32_t>(rows)}),
        starts(DType::kI32, std::vector<int32_t>{static_cast<int32_t>(keys - rows)}) {
    params.q = {q.data(), DType::kBf16, kHeads * kSize, kSize};
    params.kv = {.data = pages.data(),
                 .dtype = kv,
                 .scales = is_scaled(kv) ? scales.as<float>() : nullptr,
                 .table = table.as<int32_t>(),
                 .table_stride = blocks,
                 .blocks = blocks,
                 .pages = blocks,
                 .heads = kKvHeads,
                 .size = kSize};
    params.rows = {offsets.as<int32_t>(), starts.as<int32_t>(), 1, rows};
    params.heads = kHeads;
    params.scale = 0.0884F;
    params.out = out.data();
    params.out_type = DType::kBf16;
  }

  // Every page once, neighbours far apart.
  static std::vector<int32_t> scattered(int64_t blocks) {
    int64_t step = 7919;
    while (std::gcd(step, blocks) != 1) ++step;
    std::vector<int32_t> table;
    for (int64_t i = 0; i < blocks; ++i) table.push_back(static_cast<int32_t>(i * step % blocks));
    return table;
  }

  int64_t blocks;
  DeviceArray q, pages, scales, out, table, offsets, starts;
  cuda::SoftmaxParams params;
};

/// Seconds of one row over `keys` keys.
double time_decode(cudaStream_t stream, int64_t keys, DType kv) {
  const Problem problem(keys, 1, kv);
  const auto config = cuda::config_softmax_decode(problem.params, 132);
  const DeviceArray workspace(DType::kU8, config.workspace_bytes);
  const CUtensorMap map = cuda::make_page_map(problem.params.kv);
  return seconds(stream, {20, true}, [&] {
    cuda::launch_softmax_decode(problem.params, config, map, workspace.data(), stream);
  });
}

void bench_decode(cudaStream_t stream, std::vector<Row>& rows, int64_t keys) {
  const double time = time_decode(stream, keys, DType::kBf16);
  rows.push_back({"softmax decode", fmt::format("B=1 64/8x128 keys={}", keys), time,
                  static_cast<double>(keys) * kKvHeads * 2 * kSize * 2, true, "us/layer",
                  time * 1e6});
}

/// The same keys as codes: half the bytes, and a scale a row. Its figure is how many times as fast
/// as bf16 it is, which `bf16` seconds took.
void bench_decode_codes(cudaStream_t stream, std::vector<Row>& rows, int64_t keys, double bf16,
                        DType kv) {
  const double time = time_decode(stream, keys, kv);
  rows.push_back({fmt::format("softmax decode {}", kv == DType::kI8 ? "int8" : "fp8"),
                  fmt::format("B=1 64/8x128 keys={}", keys), time,
                  static_cast<double>(keys) * kKvHeads * 2 * (kSize + 4), true, "x bf16",
                  bf16 / time});
}

void bench_prefill(cudaStream_t stream, std::vector<Row>& rows, int64_t tokens,
                   DType kv = DType::kBf16) {
  const Problem problem(tokens, tokens, kv);
  const CUtensorMap map = cuda::make_page_half_map(problem.params.kv);
  const double time = seconds(stream, {tokens > 100'000 ? 3 : 10},
                              [&] { cuda::launch_softmax_prefill(problem.params, map, stream); });
  // The causal half, without waste.
  const double flop =
      2.0 * kHeads * kSize * static_cast<double>(tokens) * static_cast<double>(tokens + 1);
  rows.push_back({kv == DType::kBf16 ? "softmax prefill" : "softmax prefill fp8",
                  fmt::format("causal 64/8x128 n={}", tokens), time, flop, false, "ms",
                  time * 1e3});
}

}  // namespace

void bench_softmax(cudaStream_t stream, std::vector<Row>& rows) {
  for (int64_t keys : {32'768, 131'072, 1'048'576}) bench_decode(stream, rows, keys);
  const double bf16 = rows.back().seconds;
  for (DType codes : {DType::kF8E4M3, DType::kI8})
    bench_decode_codes(stream, rows, 1'048'576, bf16, codes);
  for (int64_t tokens : {8192, 32'768, 131'072}) bench_prefill(stream, rows, tokens);
  bench_prefill(stream, rows, 32'768, DType::kF8E4M3);
}

}  // namespace mm::bench
