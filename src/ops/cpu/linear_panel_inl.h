/// Products whose weights are decoded into a panel first, which many rows of x then meet. See
/// linear_tile_inl.h.
#pragma once

#include "ops/cpu/linear_tile_inl.h"

namespace mm::cpu {
namespace {

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

}  // namespace
}  // namespace mm::cpu
