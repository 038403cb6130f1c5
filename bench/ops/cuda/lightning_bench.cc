// Lightning attention of one layer of the full model: 64 heads of 128.
#include <fmt/format.h>

#include <cmath>

#include "bench/ops/cuda/device.h"
#include "ops/cuda/lightning_decode.h"
#include "ops/cuda/lightning_prefill_sm90.h"

namespace mm::bench {
namespace {

constexpr int64_t kSize = 128;
constexpr int64_t kStateElements = kSize * kSize;

/// Everything a step of `sequences` sequences of `each` rows reads and writes.
struct Problem {
  Problem(int64_t heads, int64_t sequences, int64_t each, int64_t start, DType out_type)
      : qkv(DType::kBf16, sequences * each * heads * 3 * kSize, 0.5F),
        out(out_type, sequences * each * heads * kSize),
        states(DType::kF32, sequences * heads * kStateElements, 1),
        tail_k(DType::kBf16, sequences * heads * 64 * kSize, 0.5F),
        tail_v(DType::kBf16, sequences * heads * 64 * kSize, 0.5F),
        slopes(DType::kF32, slope_values(heads)),
        offsets(DType::kI32, multiples(sequences + 1, each)),
        starts(DType::kI32,
               std::vector<int32_t>(static_cast<size_t>(sequences), static_cast<int32_t>(start))),
        slots(DType::kI32, multiples(sequences, 1)) {
    const auto part = [&](int64_t which) {
      return cuda::HeadRows{qkv.as<uint16_t>() + which * kSize, DType::kBf16, heads * 3 * kSize,
                            3 * kSize};
    };
    params.q = part(0);
    params.k = part(1);
    params.v = part(2);
    params.slopes = slopes.as<float>();
    params.rows = {offsets.as<int32_t>(), starts.as<int32_t>(), static_cast<int>(sequences),
                   sequences * each};
    params.slots = slots.as<int32_t>();
    params.num_slots = sequences;
    params.states = states.as<float>();
    params.tail_k = tail_k.data();
    params.tail_v = tail_v.data();
    params.tail_type = DType::kBf16;
    params.out = out.data();
    params.out_type = out_type;
    params.heads = static_cast<int>(heads);
    params.size = kSize;
  }

  // Layer 0 of the full model.
  static std::vector<float> slope_values(int64_t heads) {
    std::vector<float> values;
    for (int64_t h = 0; h < heads; ++h)
      values.push_back(static_cast<float>(
          std::exp2(-8.0 * static_cast<double>(h + 1) / static_cast<double>(heads))));
    return values;
  }
  static std::vector<int32_t> multiples(int64_t count, int64_t of) {
    std::vector<int32_t> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<int32_t>(i * of));
    return values;
  }

  DeviceArray qkv, out, states, tail_k, tail_v, slopes, offsets, starts, slots;
  cuda::LightningParams params;
};

void bench_prefill(cudaStream_t stream, std::vector<Row>& rows, int64_t heads, int64_t tokens) {
  const Problem problem(heads, 1, tokens, 0, DType::kBf16);
  const cuda::LightningMaps maps = cuda::make_lightning_maps(problem.params);
  const double time = seconds(stream, {tokens > 200'000 ? 5 : 20}, [&] {
    cuda::launch_lightning_plain(problem.params, cuda::LightningRows::kToBoundary, stream);
    cuda::launch_lightning_prefill(problem.params, maps, stream);
  });
  rows.push_back({"lightning prefill", fmt::format("B=1 {}x128 n={}", heads, tokens), time,
                  static_cast<double>(tokens * heads * 4 * kSize * 2), true, "ns/token",
                  time / static_cast<double>(tokens) * 1e9});
}

void bench_decode(cudaStream_t stream, std::vector<Row>& rows, int64_t sequences, int64_t tail) {
  const Problem problem(64, sequences, 1, tail, DType::kF32);
  const double time =
      seconds(stream, {20, true}, [&] { cuda::launch_lightning_decode(problem.params, stream); });
  const double bytes =
      static_cast<double>(sequences) * 64 *
      (kStateElements * 4.0 + 2.0 * static_cast<double>(tail) * kSize * 2 + kSize * (4 * 2 + 4));
  rows.push_back({"lightning decode", fmt::format("B={} 64x128 tail={}", sequences, tail), time,
                  bytes, true, "us/layer", time * 1e6});
}

}  // namespace

void bench_lightning(cudaStream_t stream, std::vector<Row>& rows) {
  for (int64_t tokens : {4096, 32'768, 131'072, 1'048'576}) bench_prefill(stream, rows, 64, tokens);
  bench_prefill(stream, rows, 8, 131'072);
  for (int64_t sequences : {1, 64}) {
    for (int64_t tail : {0, 32, 62}) bench_decode(stream, rows, sequences, tail);
  }
}

}  // namespace mm::bench
