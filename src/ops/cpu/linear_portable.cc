// Matrix products with the compiler's own 4-lane vectors, for processors without AVX2. No fused
// multiply-add: every product is rounded, so its bits are its own.
#include "base/float_types.h"
#include "ops/cpu/linear_table_inl.h"

namespace mm::cpu {
namespace {

using Float4 = float __attribute__((vector_size(16)));

template <typename T>
T read(const uint8_t* p) {
  T value;
  __builtin_memcpy(&value, p, sizeof(value));
  return value;
}

inline float bf16_at(const uint8_t* p, int i) {
  return to_float(BFloat16{read<uint16_t>(p + i * 2)});
}

struct Portable {
  using Acc = Float4;
  using Operand = Float4;
  using Out = Float4;
  using X = float;
  static constexpr int kShare = 1;
  static constexpr const char* kName = "portable";
  static constexpr int kMaxRows = 3;
  static constexpr bool kFetchesFar = false;
  static constexpr int kBlockBytes = 16 * 1024;
  static constexpr int kPassVectors = 256;
  static constexpr int kWidened = 4;
  static constexpr bool kMultipliesThree = false;

  /// Decoding a vector costs about as much as multiplying by it: a panel pays from three rows on.
  template <class F>
  static constexpr int64_t max_direct_rows() {
    return 2;
  }

  static Acc zero() { return Float4{0, 0, 0, 0}; }
  static Operand load(const uint8_t* p) { return read<Float4>(p); }
  static Operand load_x(const uint8_t* p) { return load(p); }
  static Operand pin(Operand v) { return v; }
  static void store(uint8_t* p, Operand v) { __builtin_memcpy(p, &v, sizeof(v)); }
  static Acc load_acc(const uint8_t* p) { return load(p); }
  static void store_acc(uint8_t* p, Acc v) { store(p, v); }
  static Acc fma(Acc a, Acc b, Acc c) { return c + a * b; }
  static Acc dot(Acc acc, Operand x, Operand w) { return acc + x * w; }
  static float sum(Acc v) { return (v[0] + v[2]) + (v[1] + v[3]); }
  static Out reduce4(Acc a, Acc b, Acc c, Acc d) { return Float4{sum(a), sum(b), sum(c), sum(d)}; }
  static Out load_out(const float* p) { return Float4{p[0], p[1], p[2], p[3]}; }
  static Out mul_out(Out a, Out b) { return a * b; }
  static void store_out(uint8_t* p, Out v) { store(p, v); }
  static void store_out_bf16(uint8_t* p, Out v) {
    for (int i = 0; i < 4; ++i) {
      const uint16_t bits = to_bfloat16(v[i]).bits;
      __builtin_memcpy(p + i * 2, &bits, sizeof(bits));
    }
  }
  static void widen_bf16(const uint8_t* p, uint8_t* out) {
    store(out, Float4{bf16_at(p, 0), bf16_at(p, 1), bf16_at(p, 2), bf16_at(p, 3)});
  }

  template <class Fn>
  static void with_format(const WeightRows& w, Fn&& fn);
};

struct Natural {
  using Key = int;
  static Key key(int) { return 0; }
  static constexpr int kOrder = 0;
  static constexpr int kElements = 8;
  static constexpr int kVectors = 2;
  static constexpr bool kGrouped = false;
  static constexpr bool kBias = false;
  static constexpr bool kRowScale = false;
  static void pack(const uint8_t* x, uint8_t* out, int64_t stride) {
    Portable::store(out, Portable::load(x));
    Portable::store(out + stride, Portable::load(x + 16));
  }
};
struct Bf16 : Natural {
  using Panel = Bf16;
  static constexpr int kBytes = 16;
  static Float4 weight(const uint8_t* p, int v, Key) {
    p += v * 8;
    return Float4{bf16_at(p, 0), bf16_at(p, 1), bf16_at(p, 2), bf16_at(p, 3)};
  }
};
struct F16 : Natural {
  using Panel = F16;
  static constexpr int kBytes = 16;
  static float at(const uint8_t* p, int i) { return to_float(Float16{read<uint16_t>(p + i * 2)}); }
  static Float4 weight(const uint8_t* p, int v, Key) {
    p += v * 8;
    return Float4{at(p, 0), at(p, 1), at(p, 2), at(p, 3)};
  }
};
struct F32 : Natural {
  using Panel = F32;
  static constexpr int kBytes = 32;
  static Float4 weight(const uint8_t* p, int v, Key) { return Portable::load(p + v * 16); }
};
struct Int8 : Natural {
  using Panel = Int8;
  static constexpr bool kRowScale = true;
  static constexpr float kUnit = 1;
  static constexpr int kBytes = 8;
  static float at(const uint8_t* p, int i) { return static_cast<float>(read<int8_t>(p + i)); }
  static Float4 weight(const uint8_t* p, int v, Key) {
    p += v * 4;
    return Float4{at(p, 0), at(p, 1), at(p, 2), at(p, 3)};
  }
};
struct Fp8 : Natural {
  using Panel = Fp8;
  static constexpr bool kRowScale = true;
  static constexpr float kUnit = 1;
  static constexpr int kBytes = 8;
  static float at(const uint8_t* p, int i) { return to_float(Float8E4M3{p[i]}); }
  static Float4 weight(const uint8_t* p, int v, Key) {
    p += v * 4;
    return Float4{at(p, 0), at(p, 1), at(p, 2), at(p, 3)};
  }
};

/// Four words of eight nibbles: lane i takes word i, vector j its nibble j.
struct Int4Panel {
  using Key = int;
  static Key key(int) { return 0; }
  static constexpr int kOrder = 1;
  static constexpr int kElements = 32;
  static constexpr int kBytes = 16;
  static constexpr int kVectors = 8;
  static constexpr bool kGrouped = true;
  static constexpr bool kBias = false;
  static constexpr bool kRowScale = false;
  static float at(const uint8_t* p, int i, int v) {
    return static_cast<float>(static_cast<int>((read<uint32_t>(p + i * 4) >> (4 * v)) & 15u) - 8);
  }
  static Float4 weight(const uint8_t* p, int v, Key) {
    return Float4{at(p, 0, v), at(p, 1, v), at(p, 2, v), at(p, 3, v)};
  }
  static void pack(const uint8_t* x, uint8_t* out, int64_t stride) {
    for (int j = 0; j < 8; ++j, out += stride) {
      for (int i = 0; i < 4; ++i) __builtin_memcpy(out + i * 4, x + (8 * i + j) * 4, 4);
    }
  }
};

template <int kGroup, bool kBf16Scales>
struct Int4 : Int4Panel {
  using Panel = Int4Panel;
  static Float4 scale(const uint8_t* scales, int64_t unit, int64_t) {
    const int64_t group = unit * kElements / kGroup;
    const float s = read_scale(scales + group * (kBf16Scales ? 2 : 4), kBf16Scales);
    return Float4{s, s, s, s};
  }
};

template <class Fn>
void Portable::with_format(const WeightRows& w, Fn&& fn) {
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

const LinearKernels& portable_kernels() {
  static constexpr LinearKernels kTable = Entry<Portable>::table();
  return kTable;
}

}  // namespace mm::cpu
