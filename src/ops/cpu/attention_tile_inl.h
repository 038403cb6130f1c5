/// The two small products that both attentions are made of; compiled once per instruction set.
///
/// `dots`: scores[q][r] = Σ_c a[q][c] · b[r][c]. Lanes along c, then the lanes of four rows are
/// added together by one shuffle tree. `accumulate`: out[q][c] += Σ_j weight[q][j] · value[j][c],
/// lanes along c, j ascending. In both, what happens to one (q, r) or (q, c) is one chain of fused
/// multiply-adds whose order depends on the row length alone; tiling only decides which chains run
/// side by side. That is why prefill, chunks and decode agree bit for bit.
///
/// Rows are padded with zeros to whole vectors (a sum of zero products leaves a chain as it is).

#include <algorithm>

#include "ops/cpu/vector_inl.h"

// Toggled rather than #pragma once: Highway includes this file again for every target.
#if defined(MM_OPS_CPU_ATTENTION_TILE_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef MM_OPS_CPU_ATTENTION_TILE_INL_H
#undef MM_OPS_CPU_ATTENTION_TILE_INL_H
#else
#define MM_OPS_CPU_ATTENTION_TILE_INL_H
#endif

HWY_BEFORE_NAMESPACE();
namespace mm::cpu::HWY_NAMESPACE {

// A matrix of padded rows.
template <typename T>
struct Rows {
  const T* data;
  int64_t stride;

  const T* row(int64_t i) const { return data + i * stride; }
};

#if HWY_TARGET == HWY_SCALAR
inline void store_sums(FloatVec a, FloatVec b, FloatVec c, FloatVec d, float* out) {
  store(a, out);
  store(b, out + 1);
  store(c, out + 2);
  store(d, out + 3);
}
#else
// Adds the upper half of a vector to the lower until one block of 128 bits is left.
template <class D>
inline auto add_blocks(D /*d*/, hn::Vec<D> v) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    return v;
  } else {
    const hn::Half<D> half;
    return add_blocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
}

// out = [Σ a, Σ b, Σ c, Σ d]: in each block of four lanes (0 + 2) + (1 + 3), then the blocks.
inline void store_sums(FloatVec a, FloatVec b, FloatVec c, FloatVec d, float* out) {
  const FloatTag f;
  const hn::Repartition<double, FloatTag> pairs;
  const auto ab = hn::Add(hn::InterleaveLower(f, a, b), hn::InterleaveUpper(f, a, b));
  const auto cd = hn::Add(hn::InterleaveLower(f, c, d), hn::InterleaveUpper(f, c, d));
  const auto ab2 = hn::BitCast(pairs, ab);
  const auto cd2 = hn::BitCast(pairs, cd);
  const auto sums = hn::Add(hn::BitCast(f, hn::InterleaveLower(pairs, ab2, cd2)),
                            hn::BitCast(f, hn::InterleaveUpper(pairs, ab2, cd2)));
  hn::StoreU(add_blocks(f, sums), hn::CappedTag<float, 4>(), out);
}
#endif

// Keeps a loaded vector in its register: g++ would fold the load into each of its uses, and loads,
// not multiply-adds, would be the limit. (Clang does not, nor does it take the vectors of Highway's
// emulation, which are arrays.)
inline void keep(FloatVec& v) {
#if HWY_ARCH_X86 && HWY_COMPILER_GCC_ACTUAL
  asm("" : "+v"(v.raw));
#else
  (void)v;
#endif
}

// How many rows of the other matrix each row meets; ascending. Step 0 gives all rows one limit.
struct Limits {
  const int32_t* first;
  int64_t step = 1;

  int64_t operator[](int64_t q) const { return first[q * step]; }
};

// One panel of `dots`: out[q][r] for q in [0, count) and r in [0, limits[q]). Rows of out hold the
// largest limit rounded up to 8, and as many rows of b can be read; what lies past a row's limit is
// unspecified.
struct DotPanel {
  const float* a;
  int64_t count;
  int64_t size;  // of a row of a and b, padded
  Limits limits;
  float* out;
  int64_t out_stride;

  DotPanel from(int64_t q) const {
    return {a + q * size,         count - q, size, {limits.first + q * limits.step, limits.step},
            out + q * out_stride, out_stride};
  }
};

// Dots of kQ rows with kR (a multiple of four): enough chains to hide the latency of two
// multiply-adders, few enough for 16 registers.
template <int kQ, int kR, typename T>
inline void dot_tile(const float* a, const Rows<T>& b, int64_t size, float* out,
                     int64_t out_stride) {
  const FloatTag d;
  const int64_t lanes = lane_count();
  FloatVec sum[kQ][kR];
  MM_UNROLL for (int q = 0; q < kQ; ++q) {
    MM_UNROLL for (int r = 0; r < kR; ++r) sum[q][r] = hn::Zero(d);
  }
  const T* rows[kR];
  MM_UNROLL for (int r = 0; r < kR; ++r) rows[r] = b.row(r);
  for (int64_t c = 0; c < size; c += lanes) {
    FloatVec x[kQ];
    MM_UNROLL for (int q = 0; q < kQ; ++q) x[q] = load(a + q * size + c);
    MM_UNROLL for (int r = 0; r < kR; ++r) {
      FloatVec y = load(rows[r] + c);
      if constexpr (kQ > 1)
        keep(y);
      MM_UNROLL for (int q = 0; q < kQ; ++q) sum[q][r] = hn::MulAdd(x[q], y, sum[q][r]);
    }
  }
  MM_UNROLL for (int q = 0; q < kQ; ++q) {
    MM_UNROLL for (int r = 0; r < kR; r += 4) {
      store_sums(sum[q][r], sum[q][r + 1], sum[q][r + 2], sum[q][r + 3], out + q * out_stride + r);
    }
  }
}

// The first kQ rows of a panel with rows [begin, end) of b.
template <int kQ, int kR, typename T>
inline void dot_rows(const DotPanel& panel, const Rows<T>& b, int64_t begin, int64_t end) {
  end = std::min(end, panel.limits[kQ - 1]);
  for (int64_t r = begin; r < end; r += kR)
    dot_tile<kQ, kR>(panel.a, Rows<T>{b.row(r), b.stride}, panel.size, panel.out + r,
                     panel.out_stride);
}

// Rows of b that stay in the first-level cache while rows of a pass by.
constexpr int64_t kDotBlock = 32;

template <typename T>
inline void dots(const DotPanel& panel, const Rows<T>& b) {
  const int64_t most = panel.limits[panel.count - 1];
  for (int64_t begin = 0; begin < most; begin += kDotBlock) {
    const int64_t end = begin + kDotBlock;
    int64_t q = 0;
    for (; panel.count - q >= 5 || panel.count - q == 3; q += 3)
      dot_rows<3, 4>(panel.from(q), b, begin, end);
    for (; q + 2 <= panel.count; q += 2) dot_rows<2, 4>(panel.from(q), b, begin, end);
    if (q < panel.count)
      dot_rows<1, 8>(panel.from(q), b, begin, end);
  }
}

// Weights of `accumulate`: element (q, j) at data[q · row + j · column].
struct Weights {
  const float* data;
  int64_t row;
  int64_t column;
};

// One panel of `accumulate`: out[q][c] += Σ_j weights[q][j] · values[j][c] for q in [0, count),
// c in [0, size), j in [0, limits[q]). Rows of out lie `size` apart.
struct SumPanel {
  Weights weights;
  int64_t count;
  int64_t size;  // of a row of values and out, padded
  Limits limits;
  float* out;

  SumPanel from(int64_t q) const {
    return {{weights.data + q * weights.row, weights.row, weights.column},
            count - q,
            size,
            {limits.first + q * limits.step, limits.step},
            out + q * size};
  }
};

// The first kQ rows of a panel, kV vectors of columns from c on: kQ · kV chains.
template <int kQ, int kV, typename T>
inline void sum_tile(const SumPanel& panel, const Rows<T>& values, int64_t c) {
  const FloatTag d;
  const int64_t lanes = lane_count();
  float* out = panel.out + c;
  FloatVec sum[kQ][kV];
  MM_UNROLL for (int q = 0; q < kQ; ++q) {
    MM_UNROLL for (int v = 0; v < kV; ++v) sum[q][v] = load(out + q * panel.size + v * lanes);
  }
  const float* weights[kQ];
  MM_UNROLL for (int q = 0; q < kQ; ++q) weights[q] = panel.weights.data + q * panel.weights.row;
  const T* value_row = values.data + c;
  int64_t w = 0;
  int64_t j = 0;
  const auto step = [&](auto&& counts) HWY_ATTR {
    FloatVec value[kV];
    MM_UNROLL for (int v = 0; v < kV; ++v) value[v] = load(value_row + v * lanes);
    if constexpr (kQ > 1) {
      MM_UNROLL for (int v = 0; v < kV; ++v) keep(value[v]);
    }
    MM_UNROLL for (int q = 0; q < kQ; ++q) {
      if (counts(q)) {
        const auto weight = hn::Set(d, weights[q][w]);
        MM_UNROLL for (int v = 0; v < kV; ++v) sum[q][v] = hn::MulAdd(weight, value[v], sum[q][v]);
      }
    }
    value_row += values.stride;
    w += panel.weights.column;
  };
  // Rows that all take, then the triangle that the longer ones take alone.
  for (; j < panel.limits[0]; ++j) step([](int) { return true; });
  for (; j < panel.limits[kQ - 1]; ++j) step([&](int q) { return j < panel.limits[q]; });
  MM_UNROLL for (int q = 0; q < kQ; ++q) {
    MM_UNROLL for (int v = 0; v < kV; ++v) store(sum[q][v], out + q * panel.size + v * lanes);
  }
}

// All rows of a panel, kV vectors of columns from c on: that strip of values stays in cache.
template <int kV, typename T>
inline void sum_strip(const SumPanel& panel, const Rows<T>& values, int64_t c) {
  int64_t q = 0;
  for (; q + 6 <= panel.count; q += 6) sum_tile<6, kV>(panel.from(q), values, c);
  for (; q + 4 <= panel.count; q += 4) sum_tile<4, kV>(panel.from(q), values, c);
  for (; q + 2 <= panel.count; q += 2) sum_tile<2, kV>(panel.from(q), values, c);
  if (q < panel.count)
    sum_tile<1, kV>(panel.from(q), values, c);
}

template <typename T>
inline void accumulate(const SumPanel& panel, const Rows<T>& values) {
  const int64_t lanes = lane_count();
  int64_t c = 0;
  // One or two rows alone: more columns instead, for as many chains.
  if (panel.count == 1) {
    for (; c + 8 * lanes <= panel.size; c += 8 * lanes) sum_tile<1, 8>(panel, values, c);
  } else if (panel.count == 2) {
    for (; c + 4 * lanes <= panel.size; c += 4 * lanes) sum_tile<2, 4>(panel, values, c);
  }
  for (; c + 2 * lanes <= panel.size; c += 2 * lanes) sum_strip<2>(panel, values, c);
  for (; c < panel.size; c += lanes) sum_strip<1>(panel, values, c);
}

// x = factor · x.
inline void scale_row(float* x, int64_t size, float factor) {
  const auto f = hn::Set(FloatTag(), factor);
  for (int64_t c = 0; c < size; c += lane_count()) store(hn::Mul(f, load(x + c)), x + c);
}

}  // namespace mm::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
