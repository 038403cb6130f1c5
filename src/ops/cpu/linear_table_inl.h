/// The table of kernels of an instruction set, and how it packs activations. See
/// linear_tile_inl.h.
#pragma once

#include "ops/cpu/linear_direct_inl.h"
#include "ops/cpu/linear_panel_inl.h"

namespace mm::cpu {
namespace {

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
