/// The seam between the driver of matrix products and its kernels, one table per instruction set.
/// Plain data only: the files behind these tables are compiled with wider instructions, so nothing
/// here may have an inline function that the linker could take from one of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mm::cpu {

enum class WeightKind : uint8_t { kBf16, kF16, kF32, kInt8, kFp8, kInt4 };

/// A matrix of weights [rows, cols] as it lies in the file; any alignment.
struct WeightRows {
  const uint8_t* data = nullptr;
  int64_t row_bytes = 0;
  const uint8_t* scales = nullptr;  ///< kInt8, kFp8: one per row; kInt4: one per group
  int64_t scale_row_bytes = 0;
  int64_t cols = 0;
  int group_size = 0;  ///< kInt4: 32, 64 or 128
  WeightKind kind = WeightKind::kF32;
  uint8_t bf16_scales = 0;  ///< scales are bf16, else f32
};

/// Rows of activations [rows, cols], f32 or bf16.
struct ActivationRows {
  const uint8_t* data = nullptr;
  int64_t row_bytes = 0;
  int64_t rows = 0;
  int64_t cols = 0;
  uint8_t bf16 = 0;
};

/// Rows of results, f32 or bf16.
struct OutputRows {
  uint8_t* data = nullptr;
  int64_t row_bytes = 0;
  uint8_t bf16 = 0;
};

/// Activations in the order kernels read them. Rows form tiles of `tile_rows`, the last filled up
/// with zeros; K is cut into passes. Pass by pass, tile by tile, a tile's rows lie interleaved
/// vector by vector: a kernel reads one stream.
struct PackedRows {
  uint8_t* data = nullptr;
  int64_t rows = 0;  ///< valid rows
  int64_t tiles = 0;
  int tile_rows = 1;
};

/// out[t][n] = Σ_k x[t][k] w[n][k] for the rows of x.
struct ProductArgs {
  WeightRows w;
  PackedRows x;
  OutputRows out;
};

/// One thread's part of a blocked product, and its scratch memory.
struct BlockArgs {
  int64_t row_begin = 0;  ///< weight rows
  int64_t row_end = 0;
  int64_t tile_begin = 0;  ///< tiles of x
  int64_t tile_end = 0;
  int64_t panel_rows = 0;    ///< weight rows decoded at once
  int64_t group_tiles = 0;   ///< tiles of x that a decoded panel serves
  int64_t block_tiles = 0;   ///< tiles of x used in turn with every row of the panel
  uint8_t* panel = nullptr;  ///< panel_rows · panel_row_bytes(w) bytes, aligned to 64
  uint8_t* sums = nullptr;  ///< where K takes several passes: sum_bytes per weight row of the panel
                            ///< and row of the group, aligned to 64
};

/// The kernels of one instruction set and one activation type inside.
///
/// Every output is one dot product: lane l of a vector accumulator, or of half of one, takes the
/// elements that the weight format puts into lane l, in ascending order, and the lanes are added by
/// one fixed tree.
/// `direct` and `blocked` do exactly the same operations per output, so their bits are the same.
struct LinearKernels {
  const char* name;
  int max_tile_rows;  ///< largest PackedRows::tile_rows
  int tile_cols;      ///< weight rows of a register tile
  int sum_bytes;      ///< of an output's unfinished sum between passes
  int block_bytes;    ///< bytes of x in one pass that stay in the first-level cache

  /// Whether this table has kernels for weights of this kind.
  bool (*supports)(const WeightRows& w);
  /// Bytes of one packed row of x for products with `w`.
  int64_t (*packed_row_bytes)(const WeightRows& w);
  /// Bytes of one packed row of x in the first (and longest) pass.
  int64_t (*pass_row_bytes)(const WeightRows& w);
  /// Names the order of a packed row: equal numbers, equal orders.
  int (*packed_order)(const WeightRows& w);
  /// Rows of x up to which `direct` is faster than `blocked`.
  int64_t (*max_direct_rows)(const WeightRows& w);
  /// Bytes of one decoded row of `w` in one pass.
  int64_t (*panel_row_bytes)(const WeightRows& w);
  /// Fills tiles [tile_begin, tile_end) of `packed` from x, for products with `w`.
  void (*pack)(const ActivationRows& x, const WeightRows& w, const PackedRows& packed,
               int64_t tile_begin, int64_t tile_end);
  /// Weight rows [begin, end) times all of x, weights decoded in registers, once for each tile.
  void (*direct)(const ProductArgs& args, int64_t begin, int64_t end);
  /// A block of weight rows times a range of tiles of x, weights decoded into a panel first.
  void (*blocked)(const ProductArgs& args, const BlockArgs& block);
};

const LinearKernels& portable_kernels();
const LinearKernels& avx2_kernels();
/// f32 activations.
const LinearKernels& avx512_kernels();
/// bf16 activations times bf16, int8, fp8 or int4 weights by the bf16 dot-product instruction.
const LinearKernels& avx512_bf16_kernels();

}  // namespace mm::cpu
