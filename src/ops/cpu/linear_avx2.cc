// Matrix products with AVX2, FMA and F16C.
#include "ops/cpu/linear_table_inl.h"

#if defined(__AVX2__)
#include <immintrin.h>

namespace mm::cpu {
namespace {

inline __m256i load_bytes(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

struct Avx2 {
  using Acc = __m256;
  using Operand = __m256;
  using Out = __m128;
  using X = float;
  static constexpr int kShare = 1;
  static constexpr const char* kName = "avx2";
  // 3 × 4 sums, three rows of x and one of w are all 16 registers; 7 loads for 12 multiply-adds
  // leave the loads idle part of the time on a core with two of each per cycle.
  static constexpr int kMaxRows = 3;
  static constexpr bool kFetchesFar = false;
  // Of a 32 KB cache: x stays, a tile of w (at most 16 KB) streams by.
  static constexpr int kBlockBytes = 16 * 1024;
  static constexpr int kPassVectors = 128;
  static constexpr int kWidened = 8;
  static constexpr bool kMultipliesThree = true;

  /// Decoding a vector costs about as much as multiplying by it: a panel pays from three rows on.
  template <class F>
  static constexpr int64_t max_direct_rows() {
    return 2;
  }

  static Acc zero() { return _mm256_setzero_ps(); }
  static Operand load(const uint8_t* p) {
    return _mm256_loadu_ps(reinterpret_cast<const float*>(p));
  }
  static Operand load_x(const uint8_t* p) { return load(p); }
  static Operand pin(Operand v) {
    __asm__("" : "+x"(v));
    return v;
  }
  static void store(uint8_t* p, Operand v) { _mm256_storeu_ps(reinterpret_cast<float*>(p), v); }
  static Acc load_acc(const uint8_t* p) { return load(p); }
  static void store_acc(uint8_t* p, Acc v) { store(p, v); }
  static Acc fma(Acc a, Acc b, Acc c) { return _mm256_fmadd_ps(a, b, c); }
  static Acc dot(Acc acc, Operand x, Operand w) { return _mm256_fmadd_ps(x, w, acc); }

  /// The loop of multiply_vectors for three rows; `vectors` is a positive multiple of four. All 16
  /// registers hold something in it: the compiler's own allocation keeps a sum in memory, and the
  /// loop then takes half as long again.
  static MM_INLINE void multiply_three(const uint8_t* x, const uint8_t* w, int64_t vectors,
                                       Acc (&acc)[3][4]) {
// clang-format off
#define MM_COLUMN(w_at, a, b, c)                  \
  "vmovups " #w_at "(%[w]), %%ymm15\n\t"          \
  "vfmadd231ps %%ymm15, %%ymm12, %" #a "\n\t"     \
  "vfmadd231ps %%ymm15, %%ymm13, %" #b "\n\t"     \
  "vfmadd231ps %%ymm15, %%ymm14, %" #c "\n\t"
#define MM_VECTOR(x0, x1, x2, w0, w1, w2, w3)     \
  "vmovups " #x0 "(%[x]), %%ymm12\n\t"            \
  "vmovups " #x1 "(%[x]), %%ymm13\n\t"            \
  "vmovups " #x2 "(%[x]), %%ymm14\n\t"            \
  MM_COLUMN(w0, 0, 4, 8) MM_COLUMN(w1, 1, 5, 9)   \
  MM_COLUMN(w2, 2, 6, 10) MM_COLUMN(w3, 3, 7, 11)
    __asm__ volatile(
        ".p2align 5\n"
        "1:\n\t"
        MM_VECTOR(0, 32, 64, 0, 32, 64, 96)
        MM_VECTOR(96, 128, 160, 128, 160, 192, 224)
        MM_VECTOR(192, 224, 256, 256, 288, 320, 352)
        MM_VECTOR(288, 320, 352, 384, 416, 448, 480)
        "addq $384, %[x]\n\t"
        "addq $512, %[w]\n\t"
        "subq $4, %[vectors]\n\t"
        "jg 1b"
        : "+x"(acc[0][0]), "+x"(acc[0][1]), "+x"(acc[0][2]), "+x"(acc[0][3]), "+x"(acc[1][0]),
          "+x"(acc[1][1]), "+x"(acc[1][2]), "+x"(acc[1][3]), "+x"(acc[2][0]), "+x"(acc[2][1]),
          "+x"(acc[2][2]), "+x"(acc[2][3]), [x] "+r"(x), [w] "+r"(w), [vectors] "+r"(vectors)
        :
        : "xmm12", "xmm13", "xmm14", "xmm15", "memory", "cc");
#undef MM_VECTOR
#undef MM_COLUMN
    // clang-format on
  }

  /// Lane sums of four vectors: ((l0 + l2) + (l1 + l3)) of the lower half plus that of the upper.
  static Out reduce4(Acc a, Acc b, Acc c, Acc d) {
    const __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    const __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    const __m256 sums =
        _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
  }
  static Out load_out(const float* p) {
    return _mm_loadu_ps(p);
  }
  static Out mul_out(Out a, Out b) {
    return _mm_mul_ps(a, b);
  }
  static void store_out(uint8_t* p, Out v) {
    _mm_storeu_ps(reinterpret_cast<float*>(p), v);
  }
  /// To nearest, ties to even; NaN stays NaN.
  static void store_out_bf16(uint8_t* p, Out v) {
    const __m128i bits = _mm_castps_si128(v);
    const __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
    const __m128i rounded = _mm_add_epi32(_mm_add_epi32(bits, _mm_set1_epi32(0x7fff)), odd);
    const __m128i quiet = _mm_or_si128(bits, _mm_set1_epi32(0x400000));
    const __m128i nan = _mm_castps_si128(_mm_cmpunord_ps(v, v));
    const __m128i words = _mm_srli_epi32(_mm_blendv_epi8(rounded, quiet, nan), 16);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi32(words, words));
  }
  static void widen_bf16(const uint8_t* p, uint8_t* out) {
    const __m128i words = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    store(out, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(words), 16)));
  }

  template <class Fn>
  static void with_format(const WeightRows& w, Fn&& fn);
};

/// Formats whose vectors take columns in their natural order.
struct Natural {
  using Key = int;
  static Key key(int) { return 0; }
  static constexpr int kOrder = 0;
  static constexpr int kElements = 32;
  static constexpr int kVectors = 4;
  static constexpr bool kGrouped = false;
  static constexpr bool kBias = false;
  static constexpr bool kRowScale = false;
  static void pack(const uint8_t* x, uint8_t* out, int64_t stride) {
    MM_UNROLL
    for (int v = 0; v < kVectors; ++v) Avx2::store(out + v * stride, Avx2::load(x + v * 32));
  }
};

struct F16 : Natural {
  using Panel = F16;
  static constexpr int kBytes = 64;
  static __m256 weight(const uint8_t* p, int v, Key) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + v * 16)));
  }
};

struct F32 : Natural {
  using Panel = F32;
  static constexpr int kBytes = 128;
  static __m256 weight(const uint8_t* p, int v, Key) { return Avx2::load(p + v * 32); }
};

struct Int8 : Natural {
  using Panel = Int8;
  static constexpr int kBytes = 32;
  static constexpr bool kRowScale = true;
  static constexpr float kUnit = 1;
  static __m256 weight(const uint8_t* p, int v, Key) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + v * 8));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
  }
};

struct Fp8 : Natural {
  using Panel = Fp8;
  static constexpr int kBytes = 32;
  static constexpr bool kRowScale = true;
  static constexpr float kUnit = kFp8Unit;
  static __m256 weight(const uint8_t* p, int v, Key) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + v * 8));
    const __m128i words = _mm_slli_epi16(_mm_cvtepi8_epi16(bytes), 7);
    return _mm256_cvtph_ps(_mm_and_si128(words, _mm_set1_epi16(kFp8Half)));
  }
};

/// Of 16 columns, one vector takes the even and one the odd: a shift and a mask widen them.
struct Bf16 {
  using Panel = Bf16;
  using Key = int;
  static Key key(int) { return 0; }
  static constexpr int kOrder = 1;
  static constexpr int kElements = 32;
  static constexpr int kBytes = 64;
  static constexpr int kVectors = 4;
  static constexpr bool kGrouped = false;
  static constexpr bool kBias = false;
  static constexpr bool kRowScale = false;

  static __m256 weight(const uint8_t* p, int v, Key) {
    const __m256i pairs = load_bytes(p + (v / 2) * 32);
    return _mm256_castsi256_ps(v % 2 == 0 ? _mm256_slli_epi32(pairs, 16)
                                          : _mm256_and_si256(pairs, _mm256_set1_epi32(-65536)));
  }
  static void pack(const uint8_t* x, uint8_t* out, int64_t stride) {
    MM_UNROLL
    for (int half = 0; half < 2; ++half) {
      const __m256 a = Avx2::load(x + half * 64);
      const __m256 b = Avx2::load(x + half * 64 + 32);
      Avx2::store(out + 2 * half * stride, in_order(_mm256_shuffle_ps(a, b, 0x88)));
      Avx2::store(out + (2 * half + 1) * stride, in_order(_mm256_shuffle_ps(a, b, 0xdd)));
    }
  }
  static __m256 in_order(__m256 v) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(v), 0xd8));
  }
};

#define MM_EIGHT(n) n, n, n, n, n, n, n, n
alignas(32) constexpr int kMasks[64] = {MM_EIGHT(15),       MM_EIGHT(15 << 4),  MM_EIGHT(15 << 8),
                                        MM_EIGHT(15 << 12), MM_EIGHT(15 << 16), MM_EIGHT(15 << 20),
                                        MM_EIGHT(15 << 24), MM_EIGHT(0)};
#undef MM_EIGHT

/// Eight words of eight nibbles: lane i takes word i, vector j its nibble j, left where it stands,
/// so that its value is n · 2^(4j); the activation is scaled by 2^-4j instead. The offset of 8 that
/// nibbles carry is paid by a bias: sums of a group begin at -8 Σ x.
struct Int4Panel {
  static constexpr int kOrder = 2;
  static constexpr int kElements = 64;
  static constexpr int kBytes = 32;
  static constexpr int kVectors = 8;
  static constexpr bool kGrouped = true;
  static constexpr bool kBias = true;
  static constexpr bool kRowScale = false;

  /// What vector v of the weights is multiplied by: 2^(4v), but the last nibble is shifted down
  /// (where it stands it would be the sign).
  static constexpr float factor(int v) { return v == 7 ? 1.0F : static_cast<float>(1 << (4 * v)); }
  /// The nibbles that vector v takes. Loaded from a table that the compiler cannot see through: it
  /// would spend three instructions on each constant.
  using Key = __m256i;
  static Key key(int v) {
    const int* masks = kMasks + v * 8;
    __asm__("" : "+r"(masks));
    return _mm256_load_si256(reinterpret_cast<const __m256i*>(masks));
  }
  static __m256 weight(const uint8_t* p, int v, Key mask) {
    const __m256i words = load_bytes(p);
    return _mm256_cvtepi32_ps(v == 7 ? _mm256_srli_epi32(words, 28)
                                     : _mm256_and_si256(words, mask));
  }
  static void pack(const uint8_t* x, uint8_t* out, int64_t stride) {
    __m256 columns[8];
    transpose(x, columns);
    MM_UNROLL
    for (int v = 0; v < 8; ++v)
      Avx2::store(out + v * stride, _mm256_mul_ps(columns[v], _mm256_set1_ps(1.0F / factor(v))));
  }
  static __m256 bias(const uint8_t* packed, int64_t stride) {
    __m256 sum = _mm256_setzero_ps();
    MM_UNROLL
    for (int v = 0; v < 8; ++v)
      sum = _mm256_fmadd_ps(Avx2::load(packed + v * stride), _mm256_set1_ps(-8 * factor(v)), sum);
    return sum;
  }

 private:
  /// columns[j] lane i = x[8 i + j].
  static void transpose(const uint8_t* x, __m256 (&columns)[8]) {
    __m256 t[8];
    MM_UNROLL
    for (int i = 0; i < 4; ++i) {  // rows 2 i and 2 i + 1, element pairs interleaved
      const __m256 a = Avx2::load(x + 2 * i * 32);
      const __m256 b = Avx2::load(x + (2 * i + 1) * 32);
      t[2 * i] = _mm256_unpacklo_ps(a, b);
      t[2 * i + 1] = _mm256_unpackhi_ps(a, b);
    }
    MM_UNROLL
    for (int j = 0; j < 4; ++j) {  // columns j and j + 4
      const int pair = j / 2;
      const __m256 low = j % 2 == 0 ? _mm256_shuffle_ps(t[pair], t[2 + pair], 0x44)
                                    : _mm256_shuffle_ps(t[pair], t[2 + pair], 0xee);
      const __m256 high = j % 2 == 0 ? _mm256_shuffle_ps(t[4 + pair], t[6 + pair], 0x44)
                                     : _mm256_shuffle_ps(t[4 + pair], t[6 + pair], 0xee);
      columns[j] = _mm256_permute2f128_ps(low, high, 0x20);
      columns[j + 4] = _mm256_permute2f128_ps(low, high, 0x31);
    }
  }
};

/// Int4Panel with the scales of kGroup columns each.
template <int kGroup, bool kBf16Scales>
struct Int4 : Int4Panel {
  using Panel = Int4Panel;
  static constexpr int64_t kScaleBytes = kBf16Scales ? 2 : 4;

  static __m256 scale(const uint8_t* scales, int64_t unit, int64_t cols) {
    if constexpr (kGroup == 32)
      return two_scales(scales + 2 * unit * kScaleBytes, (unit + 1) * kElements <= cols);
    const uint8_t* p = scales + unit * kElements / kGroup * kScaleBytes;
    if constexpr (!kBf16Scales)
      return _mm256_broadcast_ss(reinterpret_cast<const float*>(p));
    int16_t half = 0;
    __builtin_memcpy(&half, p, sizeof(half));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_set1_epi16(half), 16));
  }

 private:
  /// The scales of two groups of 32; the end of a row may lack the second.
  static __m256 two_scales(const uint8_t* p, bool both) {
    const __m256i lanes = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    if constexpr (!kBf16Scales) {
      int64_t pair = 0;
      __builtin_memcpy(&pair, p, both ? 8 : 4);
      return _mm256_permutevar_ps(_mm256_castsi256_ps(_mm256_set1_epi64x(pair)), lanes);
    }
    int32_t pair = 0;
    __builtin_memcpy(&pair, p, both ? 4 : 2);
    // The low half word of the lower lanes and the high one of the upper, each shifted to the top.
    const __m256i low = _mm256_slli_epi32(_mm256_set1_epi32(pair), 16);
    const __m256i high = _mm256_and_si256(_mm256_set1_epi32(pair), _mm256_set1_epi32(-65536));
    return _mm256_castsi256_ps(_mm256_blend_epi32(low, high, 0xf0));
  }
};

template <class Fn>
void Avx2::with_format(const WeightRows& w, Fn&& fn) {
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

}  // namespace

const LinearKernels& avx2_kernels() {
  static constexpr LinearKernels kTable = Entry<Avx2>::table();
  return kTable;
}

}  // namespace mm::cpu
#endif
