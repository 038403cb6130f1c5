/// Products whose weights are decoded in registers: for few rows of x, and for as many as gain
/// nothing from a panel. See linear_tile_inl.h.
#pragma once

#include "ops/cpu/linear_tile_inl.h"

namespace mm::cpu {
namespace {

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

/// Formats that need next to no decoding: few rows of x wait for memory, so a tile's weights are
/// read in the order of addresses, one sum after the other.
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
  else if constexpr (ReadInOrder<F>)
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
  // One row of x: decoding fewer bytes leaves time enough for lines to come to the first level.
  constexpr bool kPlainStream = F::kBytes >= 64 && !F::kGrouped;
  if constexpr (Ops::kFetchesFar && (M > 1 || kPlainStream)) {
    direct_rows<Ops, F, M, Reach::kFar>(args, begin, end);
  } else {
    if constexpr (Ops::kFetchesFar && F::kBytes >= 64) {
      if (args.w.row_bytes >= Prefetch<F, Reach::kNear>::kLongRow)
        return direct_rows<Ops, F, M, Reach::kFar>(args, begin, end);
    }
    direct_rows<Ops, F, M, Reach::kNear>(args, begin, end);
  }
}

}  // namespace
}  // namespace mm::cpu
