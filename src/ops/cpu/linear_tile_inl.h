/// The kernels of matrix products, written once over a description `Ops` of an instruction set.
/// Included by one source file per instruction set, each compiled with its own flags: hence
/// everything has internal linkage and nothing of the standard library is called.
///
/// Vectors run along K. A product walks K in units of F::kElements columns in F::kVectors vectors.
/// For int4 a unit has sums of its own and ends with one multiply-add by the scales.
///
/// `Ops` gives: Acc (a vector of f32 sums), kShare (how many outputs share it: one, or two that
/// have half of its lanes each), Operand (a vector of inputs, as many bytes as Acc), Out (the
/// results of a register tile for one row of x), X (type of a packed activation: float, or uint16_t
/// for bf16 bits), kMaxRows, max_direct_rows<F>(), kFetchesFar, kBlockBytes, kPassVectors, and the
/// functions used below; pin(v) is v, held in a register (left to itself the compiler loads an
/// operand anew for each multiply-add, and loads become the limit). A format `F` gives kElements,
/// kBytes, kVectors, kGrouped, kBias, weight(unit, v) (of one row, or of the two that share a
/// vector), pack(x, out, stride), perhaps kReadInOrder and, if grouped, bias() and scale();
/// F::Panel is the format that decoded rows and packed x go by.
///
/// This file has what all kernels share; linear_direct_inl.h and linear_panel_inl.h have the two
/// kinds of kernels, and linear_table_inl.h the packing and the table that the driver sees.
#pragma once

#include "ops/cpu/linear_kernels.h"

#if defined(__clang__)
#define MM_UNROLL _Pragma("unroll")
#else
#define MM_UNROLL _Pragma("GCC unroll 16")
#endif
// Sums passed by reference stay in registers only if the callee disappears.
#define MM_INLINE inline __attribute__((always_inline))

namespace mm::cpu {
namespace {

// Sums of a register tile for each row of x: the lane trees take four at a time.
inline constexpr int kSums = 4;
// Weight rows of a register tile. If two share a vector, they are rows r and r + kSums.
template <class Ops>
inline constexpr int kTileCols = kSums* Ops::kShare;

template <typename T>
struct TypeTag {
  using Type = T;
};
template <int kValue>
struct IntTag {
  static constexpr int value = kValue;
};

inline int64_t min64(int64_t a, int64_t b) {
  return a < b ? a : b;
}

/// The bits of an e4m3 at their places in an IEEE half (kFp8Half) are 1 / kFp8Unit of its value,
/// subnormals included; NaN, which no encoder of weights writes, becomes 480.
inline constexpr float kFp8Unit = 256;
inline constexpr int16_t kFp8Half = static_cast<int16_t>(0xbf80);

inline float read_scale(const uint8_t* p, bool bf16) {
  uint32_t bits = 0;
  if (bf16) {
    uint16_t half = 0;
    __builtin_memcpy(&half, p, sizeof(half));
    bits = uint32_t{half} << 16;
  } else {
    __builtin_memcpy(&bits, p, sizeof(bits));
  }
  float value = 0;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}

// Bytes of a vector of packed x: outputs that share a vector multiply the same x.
template <class Ops>
inline constexpr int64_t kXVector = sizeof(typename Ops::Operand) / Ops::kShare;

/// How K is walked: `full` units of F::kElements columns, and perhaps a part of one; in passes of
/// equal length, between which sums live in memory.
template <class Ops, class F>
struct Walk {
  static constexpr int64_t kVectorBytes = sizeof(typename Ops::Operand);
  /// Bytes of a unit in one packed row of x, and in a tile of decoded rows of w.
  static constexpr int64_t kXBytes = (F::kVectors + (F::kBias ? 1 : 0)) * kXVector<Ops>;
  static constexpr int64_t kWBytes = kSums * (F::kVectors + (F::kGrouped ? 1 : 0)) * kVectorBytes;
  static constexpr int64_t kPassUnits = Ops::kPassVectors / F::kVectors;

  int64_t full = 0;
  int64_t units = 0;       // with the one that K ends in
  int64_t tail_bytes = 0;  // bytes of w in that last, partial unit
  int64_t pass_units = 0;  // of every pass but the last, which may be shorter

  explicit Walk(const WeightRows& w)
      : full(w.cols / F::kElements),
        units((w.cols + F::kElements - 1) / F::kElements),
        // int4 columns are a multiple of the group, so bytes are whole in every format.
        tail_bytes((w.cols - full * F::kElements) * F::kBytes / F::kElements) {
    const int64_t passes = (units + kPassUnits - 1) / kPassUnits;
    pass_units = passes == 0 ? 0 : (units + passes - 1) / passes;
  }

  /// Where the pass that begins with unit `begin` starts in tile `tile` of `tiles`, in units.
  int64_t place(int64_t begin, int64_t tile, int64_t tiles) const {
    return begin * tiles + tile * min64(pass_units, units - begin);
  }
};

/// Pointers to R weight rows; rows past `end` repeat the last (their results are dropped).
template <int R>
struct Rows {
  const uint8_t* p[R];
  const uint8_t* scales[R];

  Rows(const WeightRows& w, int64_t begin, int64_t end) {
    MM_UNROLL
    for (int r = 0; r < R; ++r) {
      const int64_t row = min64(begin + r, end - 1);
      p[r] = w.data + row * w.row_bytes;
      scales[r] = w.scales + row * w.scale_row_bytes;
    }
  }
};

/// Copies of the last, partial unit of some rows, filled up with zeros: nothing is read past a row.
template <class F, int R>
struct TailRows {
  uint8_t bytes[R][F::kBytes];

  TailRows(Rows<R>* rows, int64_t offset, int64_t tail_bytes) {
    for (int r = 0; r < R; ++r) {
      __builtin_memset(bytes[r], 0, F::kBytes);
      __builtin_memcpy(bytes[r], rows->p[r] + offset, static_cast<size_t>(tail_bytes));
      rows->p[r] = bytes[r];
    }
  }
};

/// Into which cache weights are fetched ahead.
enum class Reach {
  kNear,  ///< first level
  kFar,   ///< second level, for plain streams and those that multiplying or long rows slow down
};

/// Fetches weights ahead of their use. The rows of a tile follow each other in memory: fetching
/// their lines in the order of addresses, not in the order of use (a line of each row in turn),
/// gives the memory one plain stream; measured on Zen 3, 1.4 times the bytes per second.
template <class F, Reach kReach>
struct Prefetch {
  // About 1000 cycles at the eight bytes per cycle that memory gives one core.
  static constexpr int64_t kDistance = 8192;
  // Rows of a page and more, read 32 bytes at a time, are streams that the processor follows better
  // by itself: prefetch instructions into the first level hold a line buffer for all of a memory
  // access.
  static constexpr int64_t kLongRow = F::kBytes >= 64 ? 4096 : INT64_MAX;

  int64_t ahead = 0;

  Prefetch(const WeightRows& w, int64_t rows) {
    const int64_t tile = rows * w.row_bytes;
    if (tile > 0 && (kReach == Reach::kFar || w.row_bytes < kLongRow))
      ahead = (kDistance + tile - 1) / tile * tile;
  }
  /// For part `index` of `bytes` bytes of the tile that begins at p.
  MM_INLINE void fetch(const uint8_t* p, int64_t index, int64_t bytes) const {
    if (ahead == 0)
      return;
    for (int64_t line = 0; line < bytes; line += 64)
      __builtin_prefetch(p + ahead + index * bytes + line, 0, kReach == Reach::kNear ? 3 : 2);
  }
};

// ---- sums --------------------------------------------------------------------------------------

template <class Ops, int M>
MM_INLINE void set_zero(typename Ops::Acc (&acc)[M][kSums]) {
  MM_UNROLL
  for (int m = 0; m < M; ++m) {
    MM_UNROLL
    for (int r = 0; r < kSums; ++r) acc[m][r] = Ops::zero();
  }
}

/// What the sums of a group begin with.
template <class Ops, class F, int M>
MM_INLINE void begin_group(const uint8_t* x, typename Ops::Acc (&part)[M][kSums]) {
  MM_UNROLL
  for (int m = 0; m < M; ++m) {
    MM_UNROLL
    for (int r = 0; r < kSums; ++r)
      part[m][r] =
          F::kBias ? Ops::load_acc(x + m * int64_t{sizeof(typename Ops::Acc)}) : Ops::zero();
  }
}

/// Adds a group's sums. The totals stay in memory: with the group's own they overflow the
/// registers.
template <class Ops, int M>
MM_INLINE void end_group(const typename Ops::Acc (&part)[M][kSums],
                         const typename Ops::Acc (&scale)[kSums],
                         typename Ops::Acc (&acc)[M][kSums]) {
  MM_UNROLL
  for (int r = 0; r < kSums; ++r) {
    MM_UNROLL
    for (int m = 0; m < M; ++m) acc[m][r] = Ops::fma(part[m][r], scale[r], acc[m][r]);
  }
  if constexpr (M > 1)
    __asm__("" : "+m"(acc));
}

template <class Ops, class F>
MM_INLINE typename Ops::Out row_scales(const WeightRows& w, int64_t n, int64_t end) {
  float scales[kTileCols<Ops>];
  for (int r = 0; r < kTileCols<Ops>; ++r)
    scales[r] =
        F::kUnit * read_scale(w.scales + min64(n + r, end - 1) * w.scale_row_bytes, w.bf16_scales);
  return Ops::load_out(scales);
}

/// Where a tile's results go.
struct Place {
  int64_t t;    // first row of x
  int64_t n;    // first row of w
  int64_t end;  // rows of w end here
};

template <class Ops, int M>
MM_INLINE void add_lanes(const typename Ops::Acc (&acc)[M][kSums], typename Ops::Out (&sums)[M]) {
  if constexpr (Ops::kShare == 1) {
    MM_UNROLL
    for (int m = 0; m < M; ++m) sums[m] = Ops::reduce4(acc[m][0], acc[m][1], acc[m][2], acc[m][3]);
  } else {
    MM_UNROLL
    for (int m = 0; m + 2 <= M; m += 2) Ops::reduce_two(acc[m], acc[m + 1], &sums[m], &sums[m + 1]);
    if constexpr (M % 2 == 1)
      sums[M - 1] = Ops::reduce(acc[M - 1]);
  }
}

/// Adds the lanes of a tile's sums, applies row scales and writes what lies inside the output.
template <class Ops, class F, int M>
MM_INLINE void store_tile(const typename Ops::Acc (&acc)[M][kSums], const ProductArgs& args,
                          const Place& place) {
  constexpr int kCols = kTileCols<Ops>;
  const int64_t cols = min64(kCols, place.end - place.n);
  const int64_t element = args.out.bf16 ? 2 : 4;
  typename Ops::Out sums[M];
  add_lanes<Ops, M>(acc, sums);
  typename Ops::Out scales{};
  if constexpr (F::kRowScale)
    scales = row_scales<Ops, F>(args.w, place.n, place.end);
  MM_UNROLL
  for (int m = 0; m < M; ++m) {
    if (place.t + m >= args.x.rows)
      break;
    if constexpr (F::kRowScale)
      sums[m] = Ops::mul_out(sums[m], scales);
    uint8_t* out = args.out.data + (place.t + m) * args.out.row_bytes + place.n * element;
    uint8_t part[kCols * sizeof(float)];
    uint8_t* target = cols == kCols ? out : part;
    if (args.out.bf16)
      Ops::store_out_bf16(target, sums[m]);
    else
      Ops::store_out(target, sums[m]);
    if (cols != kCols)
      __builtin_memcpy(out, part, static_cast<size_t>(cols * element));
  }
}

/// Vector v of sum r of a tile.
template <class Ops, class F>
MM_INLINE typename Ops::Operand weights_of(const Rows<kTileCols<Ops>>& rows, int r, int64_t offset,
                                           int v, typename F::Key key) {
  if constexpr (Ops::kShare == 1)
    return F::weight(rows.p[r] + offset, v, key);
  else
    return F::weight(rows.p[r] + offset, rows.p[r + kSums] + offset, v, key);
}

template <class Ops, class F>
MM_INLINE typename Ops::Acc scale_of(const WeightRows& w, const Rows<kTileCols<Ops>>& rows, int r,
                                     int64_t unit) {
  if constexpr (Ops::kShare == 1)
    return F::scale(rows.scales[r], unit, w.cols);
  else
    return F::scale(rows.scales[r], rows.scales[r + kSums], unit, w.cols);
}

}  // namespace
}  // namespace mm::cpu
