// Matrix products with AVX-512: multiply-adds in f32, and the bf16 dot product for bf16 activations
// (8-bit floats, 8-bit and 4-bit integers are exact in bf16).
//
// The dot product takes two columns a lane, so that adding lanes is twice as large a part of it;
// two outputs therefore share a vector, eight lanes each, which halves the lane trees of a tile.
#include "ops/cpu/linear_table_inl.h"

#if defined(__AVX512BF16__)
#include <immintrin.h>

namespace mm::cpu {
namespace {

inline __m512i load_bytes(const uint8_t* p) {
  return _mm512_loadu_si512(p);
}
inline __m256i load_half(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

/// 16 e4m3 in units of 1 / kFp8Unit.
inline __m512 widen_fp8(const uint8_t* p) {
  const __m256i words = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m256i halves = _mm256_and_si256(_mm256_slli_epi16(words, 7), _mm256_set1_epi16(kFp8Half));
  return _mm512_cvtph_ps(halves);
}

/// What both activation types share: sums are 16 lanes of f32.
struct Avx512 {
  using Acc = __m512;
  // 6 × 4 sums, four rows of w and one of x are 29 of 32 registers.
  static constexpr int kMaxRows = 6;
  static constexpr bool kFetchesFar = true;
  static constexpr int kBlockBytes = 12 * 1024;
  static constexpr int kWidened = 8;
  static constexpr bool kMultipliesThree = false;

  static Acc zero() { return _mm512_setzero_ps(); }
  static Acc load_acc(const uint8_t* p) {
    return _mm512_loadu_ps(reinterpret_cast<const float*>(p));
  }
  static void store_acc(uint8_t* p, Acc v) { _mm512_storeu_ps(reinterpret_cast<float*>(p), v); }
  static Acc fma(Acc a, Acc b, Acc c) { return _mm512_fmadd_ps(a, b, c); }

  static void widen_bf16(const uint8_t* p, uint8_t* out) {
    const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out),
                        _mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16));
  }
};

/// The scales of the 128 columns of a unit, lane i for columns 8 i to 8 i + 7: one group of 128,
/// two of 64 or four of 32, of which the last unit of a row may lack some.
template <int kGroup, bool kBf16Scales>
struct Int4Scales {
  static constexpr int kGroups = 128 / kGroup;

  static __m512 scale(const uint8_t* scales, int64_t unit, int64_t cols) {
    const int64_t first = unit * kGroups;
    const int64_t left = cols / kGroup - first;
    const auto mask = static_cast<__mmask8>((1 << (left < kGroups ? left : kGroups)) - 1);
    __m128i bits;
    if constexpr (kBf16Scales)
      bits =
          _mm_slli_epi32(_mm_cvtepu16_epi32(_mm_maskz_loadu_epi16(mask, scales + first * 2)), 16);
    else
      bits = _mm_maskz_loadu_epi32(mask, scales + first * 4);
    const __m512i lanes = kGroups == 1 ? _mm512_setzero_si512()
                          : kGroups == 2
                              ? _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)
                              : _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi32(lanes, _mm512_castsi128_si512(bits)));
  }
};

// ---- f32 activations ---------------------------------------------------------------------------

struct F32Ops : Avx512 {
  using Operand = __m512;
  using Out = __m128;
  using X = float;
  static constexpr int kShare = 1;
  static constexpr int kPassVectors = 32;
  static constexpr const char* kName = "avx512";
  static Operand load(const uint8_t* p) { return load_acc(p); }
  static Operand load_x(const uint8_t* p) { return load(p); }
  static Operand pin(Operand v) {
    __asm__("" : "+v"(v));
    return v;
  }
  /// Beside four to six multiply-adds decoding a vector is nearly free.
  template <class F>
  static constexpr int64_t max_direct_rows() {
    return 512;
  }
  static void store(uint8_t* p, Operand v) { store_acc(p, v); }
  static Acc dot(Acc acc, Operand x, Operand w) { return _mm512_fmadd_ps(x, w, acc); }

  /// Upper half onto lower, then as with AVX2.
  static __m256 fold(Acc v) {
    return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  }
  static Out reduce4(Acc a4, Acc b4, Acc c4, Acc d4) {
    const __m256 a = fold(a4);
    const __m256 b = fold(b4);
    const __m256 c = fold(c4);
    const __m256 d = fold(d4);
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    const __m256 sums =
        _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
  }
  static Out load_out(const float* p) { return _mm_loadu_ps(p); }
  static Out mul_out(Out a, Out b) { return _mm_mul_ps(a, b); }
  static void store_out(uint8_t* p, Out v) { _mm_storeu_ps(reinterpret_cast<float*>(p), v); }
  /// To nearest, ties to even; NaN stays NaN. (The conversion instruction flushes subnormals.)
  static void store_out_bf16(uint8_t* p, Out v) {
    const __m128i bits = _mm_castps_si128(v);
    const __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
    const __m128i rounded = _mm_add_epi32(_mm_add_epi32(bits, _mm_set1_epi32(0x7fff)), odd);
    const __m128i quiet = _mm_or_si128(bits, _mm_set1_epi32(0x400000));
    const __m128i nan = _mm_castps_si128(_mm_cmpunord_ps(v, v));
    const __m128i words = _mm_srli_epi32(_mm_blendv_epi8(rounded, quiet, nan), 16);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi32(words, words));
  }

  template <class Fn>
  static void with_format(const WeightRows& w, Fn&& fn);
};

struct Natural {
  using Key = int;
  static Key key(int) { return 0; }
  static constexpr int kOrder = 0;
  static constexpr int kElements = 32;
  static constexpr int kVectors = 2;
  static constexpr bool kGrouped = false;
  static constexpr bool kBias = false;
  static constexpr bool kRowScale = false;
  static void pack(const uint8_t* x, uint8_t* out, int64_t stride) {
    F32Ops::store(out, F32Ops::load(x));
    F32Ops::store(out + stride, F32Ops::load(x + 64));
  }
};
struct Bf16 : Natural {
  using Panel = Bf16;
  static constexpr bool kReadInOrder = true;
  static constexpr int kBytes = 64;
  static __m512 weight(const uint8_t* p, int v, Key) {
    const __m512i words = _mm512_cvtepu16_epi32(load_half(p + v * 32));
    return _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
  }
};
struct F16 : Natural {
  using Panel = F16;
  static constexpr int kBytes = 64;
  static __m512 weight(const uint8_t* p, int v, Key) {
    return _mm512_cvtph_ps(load_half(p + v * 32));
  }
};
struct F32 : Natural {
  using Panel = F32;
  static constexpr int kBytes = 128;
  static __m512 weight(const uint8_t* p, int v, Key) { return F32Ops::load(p + v * 64); }
};
struct Int8 : Natural {
  using Panel = Int8;
  static constexpr int kBytes = 32;
  static constexpr bool kRowScale = true;
  static constexpr float kUnit = 1;
  static __m512 weight(const uint8_t* p, int v, Key) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + v * 16));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
  }
};

struct Fp8 : Natural {
  using Panel = Fp8;
  static constexpr int kBytes = 32;
  static constexpr bool kRowScale = true;
  static constexpr float kUnit = kFp8Unit;
  static __m512 weight(const uint8_t* p, int v, Key) { return widen_fp8(p + v * 16); }
};

/// As with AVX2 (nibbles left in place, activations scaled, a bias for the offset), 16 words wide.
struct Int4Panel {
  using Key = int;
  static Key key(int) { return 0; }
  static constexpr int kOrder = 1;
  static constexpr int kElements = 128;
  static constexpr int kBytes = 64;
  static constexpr int kVectors = 8;
  static constexpr bool kGrouped = true;
  static constexpr bool kBias = true;
  static constexpr bool kRowScale = false;

  static constexpr float factor(int v) { return v == 7 ? 1.0F : static_cast<float>(1 << (4 * v)); }
  static __m512 weight(const uint8_t* p, int v, Key) {
    const __m512i words = load_bytes(p);
    if (v == 7)
      return _mm512_cvtepi32_ps(_mm512_srli_epi32(words, 28));
    return _mm512_cvtepi32_ps(_mm512_and_si512(words, _mm512_set1_epi32(15 << (4 * v))));
  }
  static void pack(const uint8_t* x, uint8_t* out, int64_t stride) {
    const __m512i words =
        _mm512_setr_epi32(0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120);
    MM_UNROLL
    for (int v = 0; v < 8; ++v) {
      const __m512 column = _mm512_i32gather_ps(words, x + v * 4, 4);
      F32Ops::store(out + v * stride, _mm512_mul_ps(column, _mm512_set1_ps(1.0F / factor(v))));
    }
  }
  static __m512 bias(const uint8_t* packed, int64_t stride) {
    __m512 sum = _mm512_setzero_ps();
    MM_UNROLL
    for (int v = 0; v < 8; ++v)
      sum = _mm512_fmadd_ps(F32Ops::load(packed + v * stride), _mm512_set1_ps(-8 * factor(v)), sum);
    return sum;
  }
};

template <int kGroup, bool kBf16Scales>
struct Int4 : Int4Panel, Int4Scales<kGroup, kBf16Scales> {
  using Panel = Int4Panel;
};

template <class Fn>
void F32Ops::with_format(const WeightRows& w, Fn&& fn) {
  switch (w.kind) {
    case WeightKind::kBf16:
      return fn(TypeTag<Bf16>{});
    case WeightKind::kF16:
      return fn(TypeTag<F16>{});
    case WeightKind::kF32:
      return fn(TypeTag<F32>{});
    case WeightKind::kInt8:
      return fn(TypeTag<Int8>{});
    case WeightKind::kFp8:
      return fn(TypeTag<Fp8>{});
    case WeightKind::kInt4:
      return with_groups<Int4>(w, fn);
  }
}

// ---- bf16 activations --------------------------------------------------------------------------

/// Operands are 32 bf16, 16 of each of two rows of w; a dot product adds two of them per f32 lane.
struct Bf16Ops : Avx512 {
  using Operand = __m512i;
  using Out = __m256;
  using X = uint16_t;
  static constexpr const char* kName = "avx512 bf16";
  static constexpr int kShare = 2;
  static constexpr int kPassVectors = 64;
  static Operand load(const uint8_t* p) { return load_bytes(p); }
  static Operand load_x(const uint8_t* p) { return _mm512_broadcast_i64x4(load_half(p)); }
  static Operand pin(Operand v) {
    __asm__("" : "+v"(v));
    return v;
  }
  /// Putting the halves of a vector together costs about as much as one dot product. F::kCostly:
  /// converting costs more, and a panel pays from five rows on.
  template <class F>
  static constexpr int64_t max_direct_rows() {
    return F::kCostly ? 4 : 64;
  }
  static void store(uint8_t* p, Operand v) { _mm512_storeu_si512(p, v); }
  static Acc dot(Acc acc, Operand x, Operand w) {
    return _mm512_dpbf16_ps(acc, (__m512bh)x, (__m512bh)w);
  }

  /// Lane sums within blocks of four lanes, (l0 + l2) + (l1 + l3): block b, lane r of the result
  /// belongs to block b of acc[r].
  static Acc add_in_blocks(const Acc (&acc)[4]) {
    const Acc ab =
        _mm512_add_ps(_mm512_unpacklo_ps(acc[0], acc[1]), _mm512_unpackhi_ps(acc[0], acc[1]));
    const Acc cd =
        _mm512_add_ps(_mm512_unpacklo_ps(acc[2], acc[3]), _mm512_unpackhi_ps(acc[2], acc[3]));
    return _mm512_add_ps(_mm512_shuffle_ps(ab, cd, 0x44), _mm512_shuffle_ps(ab, cd, 0xee));
  }
  /// Then blocks 0 and 1 make the rows of the lower halves, 2 and 3 those of the upper ones.
  static void reduce_two(const Acc (&a)[4], const Acc (&b)[4], Out* first, Out* second) {
    const Acc one = add_in_blocks(a);
    const Acc two = add_in_blocks(b);
    const Acc sums =
        _mm512_add_ps(_mm512_shuffle_f32x4(one, two, 0x88), _mm512_shuffle_f32x4(one, two, 0xdd));
    *first = _mm512_castps512_ps256(sums);
    *second = _mm512_extractf32x8_ps(sums, 1);
  }
  static Out reduce(const Acc (&acc)[4]) {
    const Acc sums = add_in_blocks(acc);
    const __m256 low = _mm512_castps512_ps256(sums);
    const __m256 high = _mm512_extractf32x8_ps(sums, 1);
    return _mm256_add_ps(_mm256_shuffle_f32x4(low, high, 0), _mm256_shuffle_f32x4(low, high, 3));
  }
  static Out load_out(const float* p) { return _mm256_loadu_ps(p); }
  static Out mul_out(Out a, Out b) { return _mm256_mul_ps(a, b); }
  static void store_out(uint8_t* p, Out v) { _mm256_storeu_ps(reinterpret_cast<float*>(p), v); }
  /// As in F32Ops.
  static void store_out_bf16(uint8_t* p, Out v) {
    const __m256i bits = _mm256_castps_si256(v);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded =
        _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __mmask8 nan = _mm256_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __m256i words = _mm256_srli_epi32(_mm256_mask_mov_epi32(rounded, nan, quiet), 16);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtepi32_epi16(words));
  }
  template <class Fn>
  static void with_format(const WeightRows& w, Fn&& fn);
};

/// 32 bytes of each of two rows.
inline __m512i load_halves(const uint8_t* low, const uint8_t* high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(load_half(low)), load_half(high), 1);
}

struct PairsNatural {
  static constexpr bool kCostly = false;
  using Key = int;
  static Key key(int) { return 0; }
  static constexpr int kOrder = 0;
  static constexpr int kElements = 32;
  static constexpr int kVectors = 2;
  static constexpr bool kGrouped = false;
  static constexpr bool kBias = false;
  static constexpr bool kRowScale = false;
  static void pack(const uint8_t* x, uint8_t* out, int64_t stride) {
    for (int v = 0; v < kVectors; ++v)
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + v * stride), load_half(x + v * 32));
  }
};
struct PairsBf16 : PairsNatural {
  using Panel = PairsBf16;
  static constexpr bool kReadInOrder = true;
  static constexpr int kBytes = 64;
  static __m512i weight(const uint8_t* low, const uint8_t* high, int v, Key) {
    return load_halves(low + v * 32, high + v * 32);
  }
};
struct PairsInt8 : PairsNatural {
  using Panel = PairsInt8;
  static constexpr int kBytes = 32;
  static constexpr bool kCostly = true;
  static constexpr bool kRowScale = true;
  static constexpr float kUnit = 1;
  static __m512 widen(const uint8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
  }
  static __m512i weight(const uint8_t* low, const uint8_t* high, int v, Key) {
    return (__m512i)_mm512_cvtne2ps_pbh(widen(high + v * 16), widen(low + v * 16));
  }
};

struct PairsFp8 : PairsNatural {
  using Panel = PairsFp8;
  static constexpr int kBytes = 32;
  static constexpr bool kCostly = true;
  static constexpr bool kRowScale = true;
  static constexpr float kUnit = kFp8Unit;
  static __m512i weight(const uint8_t* low, const uint8_t* high, int v, Key) {
    return (__m512i)_mm512_cvtne2ps_pbh(widen_fp8(high + v * 16), widen_fp8(low + v * 16));
  }
};

/// Pieces of 64 columns are 16 half words of four nibbles: element i of a piece's vector v is
/// nibble v of half word i, turned into bf16 by a table of 32 entries, whose index is the low five
/// bits: a nibble and a bit of the next.
template <int kPieces>
struct PairsInt4Panel {
  static constexpr bool kCostly = false;
  using Key = int;
  static Key key(int) { return 0; }
  static constexpr int kOrder = kPieces;
  static constexpr int kElements = 64 * kPieces;
  static constexpr int kBytes = 32 * kPieces;
  static constexpr int kVectors = 4 * kPieces;
  static constexpr bool kGrouped = true;
  static constexpr bool kBias = false;
  static constexpr bool kRowScale = false;

  static __m512i table() {
    // bf16 of -8 … 7, twice.
    const __m256i once = _mm256_setr_epi16(
        static_cast<int16_t>(0xc100), static_cast<int16_t>(0xc0e0), static_cast<int16_t>(0xc0c0),
        static_cast<int16_t>(0xc0a0), static_cast<int16_t>(0xc080), static_cast<int16_t>(0xc040),
        static_cast<int16_t>(0xc000), static_cast<int16_t>(0xbf80), 0x0000, 0x3f80, 0x4000, 0x4040,
        0x4080, 0x40a0, 0x40c0, 0x40e0);
    return _mm512_broadcast_i64x4(once);
  }
  static __m512i weight(const uint8_t* low, const uint8_t* high, int v, Key) {
    const int64_t piece = v / 4 * 32;
    const __m512i index = _mm512_srli_epi16(load_halves(low + piece, high + piece),
                                            static_cast<unsigned>(4 * (v % 4)));
    return _mm512_permutexvar_epi16(index, table());
  }
  /// Element i of vector v of a piece is x[4 i + v]: the v-th half word of each quad word.
  static void pack(const uint8_t* x, uint8_t* out, int64_t stride) {
    MM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      MM_UNROLL
      for (int part = 0; part < 2; ++part) {
        const __m512i quads = _mm512_srli_epi64(load_bytes(x + v / 4 * 128 + part * 64),
                                                static_cast<unsigned>(16 * (v % 4)));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + v * stride + part * 16),
                         _mm512_cvtepi64_epi16(quads));
      }
    }
  }
};

/// A unit is a group of 128 columns, one of 64, or two of 32, of which a row may end with one.
template <int kGroup, bool kBf16Scales>
struct PairsInt4 : PairsInt4Panel<kGroup == 128 ? 2 : 1> {
  using Panel = PairsInt4Panel<kGroup == 128 ? 2 : 1>;
  static constexpr int kGroups = kGroup == 32 ? 2 : 1;

  static __m512 scale(const uint8_t* low, const uint8_t* high, int64_t unit, int64_t cols) {
    constexpr int64_t kScaleBytes = kBf16Scales ? 2 : 4;
    const int64_t first = unit * kGroups;
    const int64_t last = min64(first + kGroups, cols / kGroup) - 1;
    const auto at = [](const uint8_t* scales, int64_t i) {
      return _mm_set1_ps(read_scale(scales + i * kScaleBytes, kBf16Scales));
    };
    const __m256 row = _mm256_set_m128(at(low, last), at(low, first));
    const __m256 next = _mm256_set_m128(at(high, last), at(high, first));
    return _mm512_insertf32x8(_mm512_castps256_ps512(row), next, 1);
  }
};

template <class Fn>
void Bf16Ops::with_format(const WeightRows& w, Fn&& fn) {
  switch (w.kind) {
    case WeightKind::kBf16:
      return fn(TypeTag<PairsBf16>{});
    case WeightKind::kInt8:
      return fn(TypeTag<PairsInt8>{});
    case WeightKind::kFp8:
      return fn(TypeTag<PairsFp8>{});
    case WeightKind::kInt4:
      return with_groups<PairsInt4>(w, fn);
    case WeightKind::kF16:
    case WeightKind::kF32:
      return;  // their values are not exact in bf16
  }
}

}  // namespace

const LinearKernels& avx512_kernels() {
  static constexpr LinearKernels kTable = Entry<F32Ops>::table();
  return kTable;
}

const LinearKernels& avx512_bf16_kernels() {
  static constexpr LinearKernels kTable = Entry<Bf16Ops>::table();
  return kTable;
}

}  // namespace mm::cpu
#endif
