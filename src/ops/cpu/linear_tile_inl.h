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
/// functions used below; pin(v) is v,
/// held in a register (left to itself the compiler loads an operand anew for each multiply-add, and
/// loads become the limit). A format `F` gives kElements, kBytes, kVectors, kGrouped, kBias,
/// weight(unit, v) (of one row, or of the two that share a vector), pack(x, out, stride), perhaps
/// kReadInOrder and, if grouped, bias() and scale(); F::Panel is the format that decoded rows and
/// packed x go by.
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
  kFar,   ///< second level, for streams that multiplying or long rows slow down
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
    scales[r] = read_scale(w.scales + min64(n + r, end - 1) * w.scale_row_bytes, w.bf16_scales);
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

// ---- weights decoded in registers --------------------------------------------------------------

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

template <class Ops, class F, int M>
MM_INLINE void add_vectors(const Rows<kTileCols<Ops>>& rows, int64_t offset, const uint8_t* x,
                           typename Ops::Acc (&acc)[M][kSums]) {
  MM_UNROLL
  for (int v = 0; v < F::kVectors; ++v) {
    const auto key = F::key(v);
    typename Ops::Operand vectors[M];
    MM_UNROLL
    for (int m = 0; m < M; ++m) vectors[m] = Ops::pin(Ops::load_x(x + (v * M + m) * kXVector<Ops>));
    MM_UNROLL
    for (int r = 0; r < kSums; ++r) {
      const typename Ops::Operand weights = weights_of<Ops, F>(rows, r, offset, v, key);
      MM_UNROLL
      for (int m = 0; m < M; ++m) acc[m][r] = Ops::dot(acc[m][r], vectors[m], weights);
    }
  }
}

/// One unit of a tile's rows: number `unit` of the row, at rows.p + offset.
template <class Ops, class F, int M>
MM_INLINE void add_unit(const WeightRows& w, const Rows<kTileCols<Ops>>& rows, int64_t unit,
                        int64_t offset, const uint8_t* x, typename Ops::Acc (&acc)[M][kSums]) {
  if constexpr (!F::kGrouped) {
    add_vectors<Ops, F, M>(rows, offset, x, acc);
  } else {
    typename Ops::Acc part[M][kSums];
    begin_group<Ops, F, M>(x, part);
    x += F::kBias ? M * sizeof(typename Ops::Acc) : 0;
    add_vectors<Ops, F, M>(rows, offset, x, part);
    typename Ops::Acc scale[kSums];
    MM_UNROLL
    for (int r = 0; r < kSums; ++r) scale[r] = scale_of<Ops, F>(w, rows, r, unit);
    end_group<Ops, M>(part, scale, acc);
  }
}

/// Formats that need no decoding: two or three rows of x wait for memory, so a tile's weights are
/// read in the order of addresses, one sum after the other. (One row is as fast either way.)
template <class F>
concept ReadInOrder = requires {
  F::kReadInOrder;
};

/// As add_lone_tile, for these formats.
template <class Ops, class F, int M, Reach kReach>
MM_INLINE const uint8_t* add_in_order(const ProductArgs& args, const Walk<Ops, F>& walk,
                                      const Prefetch<F, kReach>& prefetch,
                                      const Rows<kTileCols<Ops>>& rows,
                                      typename Ops::Acc (&acc)[M][kSums]) {
  const uint8_t* x = args.x.data;
  MM_UNROLL
  for (int r = 0; r < kSums; ++r) {
    x = args.x.data;
    for (int64_t u = 0; u < walk.full; ++u) {
      prefetch.fetch(rows.p[0], r * walk.full + u, F::kBytes * Ops::kShare);
      MM_UNROLL
      for (int v = 0; v < F::kVectors; ++v) {
        const auto weights = weights_of<Ops, F>(rows, r, u * F::kBytes, v, F::key(v));
        MM_UNROLL
        for (int m = 0; m < M; ++m)
          acc[m][r] = Ops::dot(acc[m][r], Ops::load_x(x + (v * M + m) * kXVector<Ops>), weights);
      }
      x += M * Walk<Ops, F>::kXBytes;
    }
  }
  return x;
}

/// Whole units of a tile's weight rows times the only tile of x, whose passes follow each other in
/// memory. Every unit is fetched ahead. Returns the end of what it read of x.
template <class Ops, class F, int M, Reach kReach>
MM_INLINE const uint8_t* add_lone_tile(const ProductArgs& args, const Walk<Ops, F>& walk,
                                       const Prefetch<F, kReach>& prefetch,
                                       const Rows<kTileCols<Ops>>& rows,
                                       typename Ops::Acc (&acc)[M][kSums]) {
  const uint8_t* x = args.x.data;
  for (int64_t u = 0; u < walk.full; ++u) {
    prefetch.fetch(rows.p[0], u, F::kBytes * kTileCols<Ops>);
    add_unit<Ops, F, M>(args.w, rows, u, u * F::kBytes, x, acc);
    x += M * Walk<Ops, F>::kXBytes;
  }
  return x;
}

/// The same for one of several tiles of x. They share the fetching, so that memory never rests.
template <class Ops, class F, int M, Reach kReach>
MM_INLINE const uint8_t* add_tile_of_many(const ProductArgs& args, const Walk<Ops, F>& walk,
                                          const Prefetch<F, kReach>& prefetch,
                                          const Rows<kTileCols<Ops>>& rows, int64_t tile,
                                          typename Ops::Acc (&acc)[M][kSums]) {
  constexpr int64_t kXBytes = M * Walk<Ops, F>::kXBytes;
  const uint8_t* x = args.x.data;
  int64_t next = tile;
  for (int64_t begin = 0; begin < walk.units; begin += walk.pass_units) {
    const int64_t end = min64(begin + walk.pass_units, walk.full);
    x = args.x.data + walk.place(begin, tile, args.x.tiles) * kXBytes;
    for (int64_t u = begin; u < end; ++u) {
      if (u == next) {
        prefetch.fetch(rows.p[0], u, F::kBytes * kTileCols<Ops>);
        next += args.x.tiles;
      }
      add_unit<Ops, F, M>(args.w, rows, u, u * F::kBytes, x, acc);
      x += kXBytes;
    }
  }
  return x;
}

/// Whether `direct` takes several tiles of M rows: the driver makes none under two thirds of the
/// largest.
template <class Ops, class F, int M>
inline constexpr bool kMayBeOfMany = (Ops::template max_direct_rows<F>() > Ops::kMaxRows) &&
                                     (M * 3 >= Ops::kMaxRows * 2);

template <class Ops, class F, int M, Reach kReach>
MM_INLINE void direct_tile(const ProductArgs& args, const Walk<Ops, F>& walk,
                           const Prefetch<F, kReach>& prefetch, const Place& place) {
  Rows<kTileCols<Ops>> rows(args.w, place.n, place.end);
  typename Ops::Acc acc[M][kSums];
  set_zero<Ops, M>(acc);
  const uint8_t* x = nullptr;
  if constexpr (kMayBeOfMany<Ops, F, M>)
    x = add_tile_of_many<Ops, F, M>(args, walk, prefetch, rows, place.t / M, acc);
  else if constexpr (ReadInOrder<F> && M > 1)
    x = add_in_order<Ops, F, M>(args, walk, prefetch, rows, acc);
  else
    x = add_lone_tile<Ops, F, M>(args, walk, prefetch, rows, acc);
  if (walk.tail_bytes != 0) {
    const TailRows<F, kTileCols<Ops>> tail(&rows, walk.full * F::kBytes, walk.tail_bytes);
    add_unit<Ops, F, M>(args.w, rows, walk.full, 0, x, acc);
  }
  store_tile<Ops, F, M>(acc, args, place);
}

/// A few weight rows at a time meet all tiles of x while they are in the first-level cache.
template <class Ops, class F, int M, Reach kReach>
void direct_rows(const ProductArgs& args, int64_t begin, int64_t end) {
  constexpr int kCols = kTileCols<Ops>;
  const Walk<Ops, F> walk(args.w);
  const Prefetch<F, kReach> prefetch(args.w, kCols);
  const int64_t tiles = kMayBeOfMany<Ops, F, M> ? args.x.tiles : 1;
  for (int64_t n = begin; n < end; n += kCols) {
    for (int64_t tile = 0; tile < tiles; ++tile)
      direct_tile<Ops, F, M>(args, walk, prefetch, Place{tile * M, n, end});
  }
}

template <class Ops, class F, int M>
void direct_tiles(const ProductArgs& args, int64_t begin, int64_t end) {
  if constexpr (Ops::kFetchesFar && M == 1) {
    if (args.w.row_bytes >= Prefetch<F, Reach::kNear>::kLongRow) {
      direct_rows<Ops, F, M, Reach::kFar>(args, begin, end);
      return;
    }
  }
  constexpr Reach kReach = Ops::kFetchesFar && M > 1 ? Reach::kFar : Reach::kNear;
  direct_rows<Ops, F, M, kReach>(args, begin, end);
}

// ---- weights decoded into a panel --------------------------------------------------------------

template <class Ops, class F>
MM_INLINE void decode_unit(const WeightRows& w, const Rows<kTileCols<Ops>>& rows, int64_t unit,
                           int64_t offset, uint8_t* out) {
  constexpr int64_t kB = sizeof(typename Ops::Operand);
  MM_UNROLL
  for (int v = 0; v < F::kVectors; ++v) {
    const auto key = F::key(v);
    MM_UNROLL
    for (int r = 0; r < kSums; ++r)
      Ops::store(out + (v * kSums + r) * kB, weights_of<Ops, F>(rows, r, offset, v, key));
  }
  if constexpr (F::kGrouped) {
    MM_UNROLL
    for (int r = 0; r < kSums; ++r)
      Ops::store_acc(out + (F::kVectors * kSums + r) * kB, scale_of<Ops, F>(w, rows, r, unit));
  }
}

/// Units [begin, end) of the block's weight rows into its panel: tile by tile, and in a tile vector
/// by vector of all its rows.
template <class Ops, class F>
void decode_panel(const WeightRows& w, const BlockArgs& block, int64_t begin, int64_t end) {
  constexpr int kCols = kTileCols<Ops>;
  constexpr int64_t kUnitBytes = Walk<Ops, F>::kWBytes;
  const Walk<Ops, F> walk(w);
  Prefetch<F, Reach::kNear> prefetch(w, kCols);
  if (walk.pass_units < walk.units)
    prefetch.ahead = 0;  // these parts of rows do not follow each other
  uint8_t* out = block.panel;
  for (int64_t n = block.row_begin; n < block.row_end; n += kCols) {
    Rows<kCols> rows(w, n, block.row_end);
    for (int64_t u = begin; u < min64(end, walk.full); ++u) {
      prefetch.fetch(rows.p[0], u, F::kBytes * kCols);
      decode_unit<Ops, F>(w, rows, u, u * F::kBytes, out);
      out += kUnitBytes;
    }
    if (end > walk.full) {
      const TailRows<F, kCols> tail(&rows, walk.full * F::kBytes, walk.tail_bytes);
      decode_unit<Ops, F>(w, rows, walk.full, 0, out);
      out += kUnitBytes;
    }
  }
}

/// acc += x · w over `vectors` vectors of M packed rows and a tile of decoded rows.
template <class Ops, int M>
MM_INLINE void multiply_vectors(const uint8_t* x, const uint8_t* w, int64_t vectors,
                                typename Ops::Acc (&acc)[M][kSums]) {
  constexpr int64_t kB = sizeof(typename Ops::Operand);
  constexpr int64_t kXB = kXVector<Ops>;
  if constexpr (Ops::kMultipliesThree && M == 3) {
    Ops::multiply_three(x, w, vectors, acc);
    return;
  }
  for (int64_t i = 0; i < vectors; i += 2) {  // every format has an even number of vectors
    MM_UNROLL
    for (int j = 0; j < 2; ++j) {
      typename Ops::Operand rows[M];
      MM_UNROLL
      for (int m = 0; m < M; ++m) rows[m] = Ops::pin(Ops::load_x(x + (j * M + m) * kXB));
      MM_UNROLL
      for (int r = 0; r < kSums; ++r) {
        const typename Ops::Operand weights = Ops::pin(Ops::load(w + (j * kSums + r) * kB));
        MM_UNROLL
        for (int m = 0; m < M; ++m) acc[m][r] = Ops::dot(acc[m][r], rows[m], weights);
      }
    }
    x += 2 * M * kXB;
    w += 2 * kSums * kB;
  }
}

template <class Ops, class F, int M>
MM_INLINE void multiply_units(const uint8_t* x, const uint8_t* w, int64_t units,
                              typename Ops::Acc (&acc)[M][kSums]) {
  if constexpr (!F::kGrouped) {
    if (units > 0)
      multiply_vectors<Ops, M>(x, w, units * F::kVectors, acc);
  } else {
    constexpr int64_t kB = sizeof(typename Ops::Operand);
    for (int64_t u = 0; u < units; ++u) {
      typename Ops::Acc part[M][kSums];
      begin_group<Ops, F, M>(x, part);
      multiply_vectors<Ops, M>(x + (F::kBias ? M * kB : 0), w, F::kVectors, part);
      x += M * Walk<Ops, F>::kXBytes;
      w += Walk<Ops, F>::kWBytes;
      typename Ops::Acc scale[kSums];
      MM_UNROLL
      for (int r = 0; r < kSums; ++r) scale[r] = Ops::load_acc(w + (r - kSums) * kB);
      end_group<Ops, M>(part, scale, acc);
    }
  }
}

/// A pass over part of K.
struct Pass {
  int64_t begin, end;  // units
  bool last;
};

/// One pass for one tile, whose operands in this pass begin at x and w.
template <class Ops, class F, int M>
void multiply_tile(const ProductArgs& args, const Pass& pass, const Place& place, const uint8_t* x,
                   const uint8_t* w, uint8_t* sums) {
  constexpr int64_t kB = sizeof(typename Ops::Acc);
  typename Ops::Acc acc[M][kSums];
  MM_UNROLL
  for (int m = 0; m < M; ++m) {
    MM_UNROLL
    for (int r = 0; r < kSums; ++r)
      acc[m][r] = pass.begin == 0 ? Ops::zero() : Ops::load_acc(sums + (m * kSums + r) * kB);
  }
  multiply_units<Ops, F, M>(x, w, pass.end - pass.begin, acc);
  if (pass.last) {
    store_tile<Ops, F, M>(acc, args, place);
    return;
  }
  MM_UNROLL
  for (int m = 0; m < M; ++m) {
    MM_UNROLL
    for (int r = 0; r < kSums; ++r) Ops::store_acc(sums + (m * kSums + r) * kB, acc[m][r]);
  }
}

/// One pass for the block's tiles of x and all decoded rows, `block_tiles` tiles of x at a time.
template <class Ops, class F, int M>
void multiply_panel(const ProductArgs& args, const BlockArgs& block, const Pass& pass) {
  using W = Walk<Ops, F>;
  const int64_t x_tile_bytes = (pass.end - pass.begin) * M * W::kXBytes;
  const int64_t w_tile_bytes = (pass.end - pass.begin) * W::kWBytes;
  const uint8_t* x0 =
      args.x.data + W(args.w).place(pass.begin, block.tile_begin, args.x.tiles) * M * W::kXBytes;
  uint8_t* sums = block.sums;
  for (int64_t t0 = block.tile_begin; t0 < block.tile_end; t0 += block.block_tiles) {
    const int64_t t1 = min64(t0 + block.block_tiles, block.tile_end);
    const uint8_t* w = block.panel;
    for (int64_t n = block.row_begin; n < block.row_end; n += kTileCols<Ops>) {
      const uint8_t* x = x0;
      for (int64_t t = t0; t < t1; ++t) {
        multiply_tile<Ops, F, M>(args, pass, Place{t * M, n, block.row_end}, x, w, sums);
        x += x_tile_bytes;
        sums += M * kSums * sizeof(typename Ops::Acc);
      }
      w += w_tile_bytes;
    }
    x0 += (t1 - t0) * x_tile_bytes;
  }
}

template <class Ops, class F, int M>
void blocked_tiles(const ProductArgs& args, const BlockArgs& block) {
  const Walk<Ops, F> walk(args.w);
  BlockArgs part = block;  // one panel of weights, one group of tiles
  for (int64_t n = block.row_begin; n < block.row_end; n += block.panel_rows) {
    part.row_begin = n;
    part.row_end = min64(n + block.panel_rows, block.row_end);
    for (int64_t t = block.tile_begin; t < block.tile_end; t += block.group_tiles) {
      part.tile_begin = t;
      part.tile_end = min64(t + block.group_tiles, block.tile_end);
      Pass pass{0, 0, false};
      while (!pass.last) {
        pass.end = min64(pass.begin + walk.pass_units, walk.units);
        pass.last = pass.end == walk.units;
        decode_panel<Ops, F>(args.w, part, pass.begin, pass.end);
        multiply_panel<Ops, typename F::Panel, M>(args, part, pass);
        pass.begin = pass.end;
      }
    }
  }
}

// ---- activations -------------------------------------------------------------------------------

/// Columns [k, k + kCount) of a row as Ops::X, zeros past the row's end; may point into the row.
template <class Ops, int kCount>
const uint8_t* unit_of_x(const ActivationRows& x, int64_t row, int64_t k, uint8_t* buffer) {
  constexpr bool kWantsBf16 = sizeof(typename Ops::X) == 2;
  const int64_t element = x.bf16 ? 2 : 4;
  const uint8_t* p = x.data + row * x.row_bytes + k * element;
  uint8_t source[kCount * 4];
  if (k + kCount > x.cols) {
    __builtin_memset(source, 0, sizeof(source));
    __builtin_memcpy(source, p, static_cast<size_t>((x.cols - k) * element));
    p = source;
  }
  if (!kWantsBf16 && x.bf16) {
    for (int i = 0; i < kCount; i += Ops::kWidened) Ops::widen_bf16(p + i * 2, buffer + i * 4);
    return buffer;
  }
  if (p != source)
    return p;
  __builtin_memcpy(buffer, source, kCount * sizeof(typename Ops::X));
  return buffer;
}

/// Columns of one pass of one row, units [begin, end).
template <class Ops, class F>
void pack_row(const ActivationRows& x, int64_t row, int64_t begin, int64_t end, uint8_t* out,
              int64_t stride) {
  alignas(64) uint8_t buffer[F::kElements * sizeof(typename Ops::X)];
  for (int64_t u = begin; u < end; ++u) {
    const uint8_t* unit = unit_of_x<Ops, F::kElements>(x, row, u * F::kElements, buffer);
    uint8_t* const vectors = out + (F::kBias ? stride : 0);
    F::pack(unit, vectors, stride);
    if constexpr (F::kBias)
      Ops::store_acc(out, F::bias(vectors, stride));
    out = vectors + F::kVectors * stride;
  }
}

template <class Ops, class F>
void pack_tiles(const ActivationRows& x, const WeightRows& w, const PackedRows& packed,
                int64_t tile_begin, int64_t tile_end) {
  constexpr int64_t kB = kXVector<Ops>;
  using W = Walk<Ops, F>;
  const W walk(w);
  const int64_t rows = packed.tile_rows;
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    for (int64_t begin = 0; begin < walk.units; begin += walk.pass_units) {
      const int64_t end = min64(begin + walk.pass_units, walk.units);
      uint8_t* const out = packed.data + walk.place(begin, tile, packed.tiles) * rows * W::kXBytes;
      for (int64_t m = 0; m < rows; ++m) {
        if (tile * rows + m < packed.rows) {
          pack_row<Ops, F>(x, tile * rows + m, begin, end, out + m * kB, rows * kB);
          continue;
        }
        for (int64_t i = 0; i < (end - begin) * W::kXBytes / kB; ++i)
          __builtin_memset(out + (i * rows + m) * kB, 0, kB);
      }
    }
  }
}

// ---- the table ---------------------------------------------------------------------------------

/// Calls fn(IntTag<tile_rows>).
template <int kMax, class Fn>
void with_tile_rows(int tile_rows, Fn&& fn) {
  switch (tile_rows) {
    case 1:
      return fn(IntTag<1>{});
    case 2:
      return fn(IntTag<2>{});
    case 3:
      if constexpr (kMax >= 3)
        return fn(IntTag<3>{});
      break;
    case 4:
      if constexpr (kMax >= 4)
        return fn(IntTag<4>{});
      break;
    case 5:
      if constexpr (kMax >= 5)
        return fn(IntTag<5>{});
      break;
    case 6:
      if constexpr (kMax >= 6)
        return fn(IntTag<6>{});
      break;
    default:
      break;
  }
}

/// Calls fn with the int4 format of w's group size and type of scales: kInt4<group, bf16 scales>.
template <template <int, bool> class Int4, class Fn>
void with_groups(const WeightRows& w, Fn&& fn) {
  const bool bf16 = w.bf16_scales != 0;
  if (w.group_size == 32)
    return bf16 ? fn(TypeTag<Int4<32, true>>{}) : fn(TypeTag<Int4<32, false>>{});
  if (w.group_size == 64)
    return bf16 ? fn(TypeTag<Int4<64, true>>{}) : fn(TypeTag<Int4<64, false>>{});
  return bf16 ? fn(TypeTag<Int4<128, true>>{}) : fn(TypeTag<Int4<128, false>>{});
}

template <class Ops>
struct Entry {
  static bool supports(const WeightRows& w) {
    bool found = false;
    Ops::with_format(w, [&](auto) { found = true; });
    return found;
  }

  static int64_t packed_row_bytes(const WeightRows& w) {
    int64_t bytes = 0;
    Ops::with_format(w, [&](auto tag) {
      using W = Walk<Ops, typename decltype(tag)::Type>;
      bytes = W(w).units * W::kXBytes;
    });
    return bytes;
  }

  static int64_t pass_row_bytes(const WeightRows& w) {
    int64_t bytes = 0;
    Ops::with_format(w, [&](auto tag) {
      using W = Walk<Ops, typename decltype(tag)::Type>;
      bytes = W(w).pass_units * W::kXBytes;
    });
    return bytes;
  }

  static int packed_order(const WeightRows& w) {
    int order = 0;
    Ops::with_format(w, [&](auto tag) { order = decltype(tag)::Type::kOrder; });
    return order;
  }

  static int64_t max_direct_rows(const WeightRows& w) {
    int64_t rows = 0;
    Ops::with_format(
        w, [&](auto tag) { rows = Ops::template max_direct_rows<typename decltype(tag)::Type>(); });
    return rows;
  }

  static int64_t panel_row_bytes(const WeightRows& w) {
    int64_t bytes = 0;
    Ops::with_format(w, [&](auto tag) {
      using W = Walk<Ops, typename decltype(tag)::Type>;
      bytes = W(w).pass_units * W::kWBytes / kTileCols<Ops>;
    });
    return bytes;
  }

  static void pack(const ActivationRows& x, const WeightRows& w, const PackedRows& packed,
                   int64_t tile_begin, int64_t tile_end) {
    Ops::with_format(w, [&](auto tag) {
      pack_tiles<Ops, typename decltype(tag)::Type>(x, w, packed, tile_begin, tile_end);
    });
  }

  static void direct(const ProductArgs& args, int64_t begin, int64_t end) {
    Ops::with_format(args.w, [&](auto tag) {
      with_tile_rows<Ops::kMaxRows>(args.x.tile_rows, [&](auto rows) {
        direct_tiles<Ops, typename decltype(tag)::Type, decltype(rows)::value>(args, begin, end);
      });
    });
  }

  static void blocked(const ProductArgs& args, const BlockArgs& block) {
    Ops::with_format(args.w, [&](auto tag) {
      with_tile_rows<Ops::kMaxRows>(args.x.tile_rows, [&](auto rows) {
        blocked_tiles<Ops, typename decltype(tag)::Type, decltype(rows)::value>(args, block);
      });
    });
  }

  static constexpr LinearKernels table() {
    LinearKernels kernels{};
    kernels.name = Ops::kName;
    kernels.max_tile_rows = Ops::kMaxRows;
    kernels.tile_cols = kTileCols<Ops>;
    kernels.sum_bytes = sizeof(typename Ops::Acc) / Ops::kShare;
    kernels.block_bytes = Ops::kBlockBytes;
    kernels.supports = supports;
    kernels.packed_row_bytes = packed_row_bytes;
    kernels.pass_row_bytes = pass_row_bytes;
    kernels.packed_order = packed_order;
    kernels.max_direct_rows = max_direct_rows;
    kernels.panel_row_bytes = panel_row_bytes;
    kernels.pack = pack;
    kernels.direct = direct;
    kernels.blocked = blocked;
    return kernels;
  }
};

}  // namespace
}  // namespace mm::cpu
