// Softmax attention by the bf16 dot product: two multiply-adds a lane and instruction.
//
// Both products keep what they sum over inside a lane, so that no lane is ever added to another:
// scores have keys along the lanes and take pairs of channels, sums of values have channels along
// the lanes and take pairs of keys. Keys are transposed for that, pair by pair, and values
// interleaved, once for all queries of a task: a 64th of the products' time at 128 queries.
//
// A score is one chain over the channels, an output one chain over the visible pairs of keys, both
// ascending, whichever tile they stand in; a pair with one visible key takes zero for the other.
#include "ops/cpu/softmax_kernels.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>

namespace mm::cpu {
namespace {

constexpr int64_t kKeys = 64;  // of a page
constexpr int64_t kLanes = 16;

#ifdef __clang__
#define MM_UNROLL _Pragma("unroll")
#else
#define MM_UNROLL _Pragma("GCC unroll 16")
#endif

inline int64_t min64(int64_t a, int64_t b) {
  return a < b ? a : b;
}

inline __m512 dot(__m512 sum, __m512i a, __m512i b) {
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

// Keeps a value in its register: g++ would load it again for each of its uses.
inline __m512i pin(__m512i v) {
  __asm__("" : "+v"(v));
  return v;
}

// The first `count` (at most 32) of the bf16 at p, zeros behind them.
inline __m512i load_some(const uint16_t* p, int64_t count) {
  const auto mask = static_cast<__mmask32>(count >= 32 ? ~0U : (1U << count) - 1U);
  return _mm512_maskz_loadu_epi16(mask, p);
}

// ---- packing -----------------------------------------------------------------------------------

// Words [16 rows, 16 columns] to [16 columns, 16 rows].
inline void transpose(__m512i (&v)[16]) {
  __m512i t[16];
  MM_UNROLL
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  // Column 4 b + i of rows [4 g, 4 g + 4) is block b of v[4 g + i].
  MM_UNROLL
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  MM_UNROLL
  for (int i = 0; i < 4; ++i) {
    const __m512i low01 = _mm512_shuffle_i32x4(v[i], v[4 + i], 0x88);   // blocks 0, 2
    const __m512i high01 = _mm512_shuffle_i32x4(v[i], v[4 + i], 0xdd);  // blocks 1, 3
    const __m512i low23 = _mm512_shuffle_i32x4(v[8 + i], v[12 + i], 0x88);
    const __m512i high23 = _mm512_shuffle_i32x4(v[8 + i], v[12 + i], 0xdd);
    t[i] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    t[4 + i] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    t[8 + i] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    t[12 + i] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
  MM_UNROLL
  for (int i = 0; i < 16; ++i) v[i] = t[i];
}

// Keys as [padded / 2, 64] pairs of channels; whole vectors of keys up to the last that is seen.
void pack_keys(const SoftmaxPage& page, int64_t most) {
  const int64_t pairs = page.padded / 2;
  for (int64_t key = 0; key < most; key += kLanes) {
    const uint16_t* rows = page.keys + key * page.stride;
    uint32_t* out = page.packed + key;
    for (int64_t pair = 0; pair < pairs; pair += kLanes) {
      const int64_t left = page.head_size - 2 * pair;
      __m512i v[16];
      MM_UNROLL
      for (int i = 0; i < 16; ++i) v[i] = load_some(rows + i * page.stride + 2 * pair, left);
      transpose(v);
      const int64_t count = min64(pairs - pair, kLanes);
      for (int i = 0; i < 8; ++i) _mm512_store_si512(out + (pair + i) * kKeys, v[i]);
      if (count > 8)
        for (int i = 8; i < 16; ++i) _mm512_store_si512(out + (pair + i) * kKeys, v[i]);
    }
  }
}

// Values as [32, padded] pairs of keys, up to the last that is seen.
void pack_values(const SoftmaxPage& page, int64_t most) {
  const __m512i first = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40,
                                         8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
  for (int64_t pair = 0; 2 * pair < most; ++pair) {
    const uint16_t* even = page.values + 2 * pair * page.stride;
    const uint16_t* odd = even + page.stride;
    uint32_t* out = page.packed + pair * page.padded;
    for (int64_t c = 0; c < page.padded; c += 32) {
      const __m512i a = load_some(even + c, page.head_size - c);
      const __m512i b = load_some(odd + c, page.head_size - c);
      _mm512_store_si512(out + c, _mm512_permutex2var_epi16(a, first, b));
      if (c + kLanes < page.padded)
        _mm512_store_si512(out + c + kLanes, _mm512_permutex2var_epi16(a, second, b));
    }
  }
}

// ---- scores ------------------------------------------------------------------------------------

// Scores of kQ queries from `query` on with kV vectors of keys from `key` on.
template <int kQ, int kV>
void score_tile(const SoftmaxPage& page, int64_t query, int64_t key) {
  const uint16_t* q = page.q + query * page.padded;
  const uint32_t* keys = page.packed + key;
  __m512 sum[kQ][kV];
  MM_UNROLL
  for (int i = 0; i < kQ; ++i) {
    MM_UNROLL
    for (int v = 0; v < kV; ++v) sum[i][v] = _mm512_setzero_ps();
  }
  for (int64_t c = 0; c < page.padded; c += 2) {
    __m512i k[kV];
    MM_UNROLL
    for (int v = 0; v < kV; ++v) k[v] = pin(_mm512_load_si512(keys + v * kLanes));
    keys += kKeys;
    MM_UNROLL
    for (int i = 0; i < kQ; ++i) {
      int pair;
      __builtin_memcpy(&pair, q + i * page.padded + c, sizeof(pair));
      const __m512i x = pin(_mm512_set1_epi32(pair));
      MM_UNROLL
      for (int v = 0; v < kV; ++v) sum[i][v] = dot(sum[i][v], x, k[v]);
    }
  }
  const __m512 scale = _mm512_set1_ps(page.scale);
  float* out = page.scores + query * kKeys + key;
  MM_UNROLL
  for (int i = 0; i < kQ; ++i) {
    MM_UNROLL
    for (int v = 0; v < kV; ++v)
      _mm512_store_ps(out + i * kKeys + v * kLanes, _mm512_mul_ps(sum[i][v], scale));
  }
}

// ---- weights -----------------------------------------------------------------------------------

// e^x for x ≤ 0, within 4e-7 of itself plus 2⁻²⁴ |x|; 0 below the smallest denormal; NaN for NaN.
// 2^(n + r), |r| ≤ 1/2, by a polynomial of degree 5 with p(0) = 1.
inline __m512 exponential(__m512 x) {
  // The maximum with its second operand NaN is NaN.
  const __m512 t =
      _mm512_max_ps(_mm512_set1_ps(-200.0F), _mm512_mul_ps(x, _mm512_set1_ps(1.44269504F)));
  const __m512 n = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(t, n);
  __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(1.338130254e-03F), r, _mm512_set1_ps(9.666368515e-03F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.550381014e-02F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.402234904e-01F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.931471806e-01F));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0F));
  return _mm512_scalef_ps(p, n);
}

// Moves what a query has seen to a new maximum.
void rescale(const SoftmaxPage& page, int64_t query, float largest) {
  const __m512 factor = exponential(_mm512_set1_ps(page.largest[query] - largest));
  page.largest[query] = largest;
  float* totals = page.totals + query * kTotalLanes;
  _mm512_store_ps(totals, _mm512_mul_ps(_mm512_load_ps(totals), factor));
  float* out = page.out + query * page.padded;
  for (int64_t c = 0; c < page.padded; c += kLanes)
    _mm512_store_ps(out + c, _mm512_mul_ps(_mm512_load_ps(out + c), factor));
}

// Turns a query's scores into weights, bf16, at the front of their row. The sum takes the weights
// as they were before rounding: rounding errors of both signs then do not add up in it.
void weigh(const SoftmaxPage& page, int64_t query) {
  float* scores = page.scores + query * kKeys;
  const int64_t limit = page.limits[query];
  __m512 s[4];
  MM_UNROLL
  for (int v = 0; v < 4; ++v) s[v] = _mm512_load_ps(scores + v * kLanes);
  if (limit < kKeys) {
    const uint64_t seen = (uint64_t{1} << limit) - 1;
    MM_UNROLL
    for (int v = 0; v < 4; ++v)
      s[v] = _mm512_mask_mov_ps(_mm512_set1_ps(-__builtin_inff()),
                                static_cast<__mmask16>(seen >> (v * kLanes)), s[v]);
  }
  const __m512 most = _mm512_max_ps(_mm512_max_ps(s[0], s[1]), _mm512_max_ps(s[2], s[3]));
  const float top = _mm512_reduce_max_ps(most);
  if (!(top <= page.largest[query]))
    rescale(page, query, top);
  const __m512 largest = _mm512_set1_ps(page.largest[query]);
  MM_UNROLL
  for (int v = 0; v < 4; ++v) s[v] = exponential(_mm512_sub_ps(s[v], largest));
  float* totals = page.totals + query * kTotalLanes;
  const __m512 sum = _mm512_add_ps(_mm512_add_ps(s[0], s[1]), _mm512_add_ps(s[2], s[3]));
  _mm512_store_ps(totals, _mm512_add_ps(_mm512_load_ps(totals), sum));
  _mm512_store_si512(scores, (__m512i)_mm512_cvtne2ps_pbh(s[1], s[0]));
  _mm512_store_si512(scores + kLanes, (__m512i)_mm512_cvtne2ps_pbh(s[3], s[2]));
}

// ---- values ------------------------------------------------------------------------------------

// Adds the values to kV vectors of channels from c on, for kQ queries from `query` on.
template <int kQ, int kV>
void sum_tile(const SoftmaxPage& page, int64_t query, int64_t c) {
  const int32_t* limits = page.limits + query;
  const float* weights = page.scores + query * kKeys;
  const uint32_t* values = page.packed + c;
  float* out = page.out + query * page.padded + c;
  __m512 sum[kQ][kV];
  MM_UNROLL
  for (int i = 0; i < kQ; ++i) {
    MM_UNROLL
    for (int v = 0; v < kV; ++v) sum[i][v] = _mm512_load_ps(out + i * page.padded + v * kLanes);
  }
  const auto load = [&](__m512i(&x)[kV]) {
    MM_UNROLL
    for (int v = 0; v < kV; ++v) x[v] = pin(_mm512_load_si512(values + v * kLanes));
    values += page.padded;
  };
  const auto weight = [&](int i, int64_t pair) {
    int bits;
    __builtin_memcpy(&bits, weights + i * kKeys + pair, sizeof(bits));
    return pin(_mm512_set1_epi32(bits));
  };
  int64_t pair = 0;
  for (; pair < limits[0] / 2; ++pair) {
    __m512i x[kV];
    load(x);
    MM_UNROLL
    for (int i = 0; i < kQ; ++i) {
      const __m512i w = weight(i, pair);
      MM_UNROLL
      for (int v = 0; v < kV; ++v) sum[i][v] = dot(sum[i][v], w, x[v]);
    }
  }
  // Pairs that not all queries see, or see one key of. What a query does not see must leave no
  // trace: not the sign of a zero, nor a NaN.
  for (; 2 * pair < limits[kQ - 1]; ++pair) {
    __m512i x[kV];
    load(x);
    MM_UNROLL
    for (int i = 0; i < kQ; ++i) {
      const int64_t seen = limits[i] - 2 * pair;
      if (seen > 0) {
        const __m512i w = weight(i, pair);
        const __m512i mask = _mm512_set1_epi32(seen > 1 ? -1 : 0xffff);
        MM_UNROLL
        for (int v = 0; v < kV; ++v) sum[i][v] = dot(sum[i][v], w, _mm512_and_si512(x[v], mask));
      }
    }
  }
  MM_UNROLL
  for (int i = 0; i < kQ; ++i) {
    MM_UNROLL
    for (int v = 0; v < kV; ++v) _mm512_store_ps(out + i * page.padded + v * kLanes, sum[i][v]);
  }
}

// ---- a page ------------------------------------------------------------------------------------

template <int kCount>
struct Tile {
  static constexpr int kQueries = kCount;
};

// function(tile, query) for tiles of queries that make up all of them: six times four sums fill
// the registers.
template <class Function>
inline void for_tiles(int64_t queries, Function&& function) {
  int64_t i = 0;
  for (; i + 6 <= queries; i += 6) function(Tile<6>{}, i);
  if (i + 4 <= queries) {
    function(Tile<4>{}, i);
    i += 4;
  }
  if (i + 2 <= queries) {
    function(Tile<2>{}, i);
    i += 2;
  }
  if (i < queries)
    function(Tile<1>{}, i);
}

}  // namespace

void softmax_page_bf16(const SoftmaxPage& page) {
  const int64_t most = page.limits[page.queries - 1];
  pack_keys(page, most);
  for_tiles(page.queries, [&](auto tile, int64_t query) {
    constexpr int kQ = decltype(tile)::kQueries;
    if (most > 48) {
      score_tile<kQ, 4>(page, query, 0);
    } else {
      for (int64_t key = 0; key < most; key += kLanes) score_tile<kQ, 1>(page, query, key);
    }
    for (int i = 0; i < kQ; ++i) weigh(page, query + i);
  });
  pack_values(page, most);
  // A strip of values stays in cache while the queries pass by.
  int64_t c = 0;
  for (; c + 4 * kLanes <= page.padded; c += 4 * kLanes) {
    for_tiles(page.queries, [&](auto tile, int64_t query) {
      sum_tile<decltype(tile)::kQueries, 4>(page, query, c);
    });
  }
  for (; c < page.padded; c += kLanes) {
    for_tiles(page.queries, [&](auto tile, int64_t query) {
      sum_tile<decltype(tile)::kQueries, 1>(page, query, c);
    });
  }
}

}  // namespace mm::cpu
#endif
