// Choices made on the host, which need no device.
#include <gtest/gtest.h>

#include "ops/cuda/grouped_gemm_sm90.h"
#include "ops/cuda/lightning_decode.h"
#include "ops/cuda/lightning_prefill_sm90.h"
#include "ops/cuda/narrow_linear.h"
#include "ops/cuda/skinny_linear.h"
#include "ops/cuda/softmax_decode.h"
#include "ops/cuda/softmax_prefill_sm90.h"

namespace mm::cuda {
namespace {

// Addresses are only looked at: never read.
void* address(uintptr_t value) {
  return reinterpret_cast<void*>(value);
}

SoftmaxParams softmax(int64_t rows, int64_t blocks) {
  SoftmaxParams params;
  params.kv.dtype = DType::kBf16;
  params.kv.data = address(4096);
  params.kv.size = 128;
  params.kv.heads = 8;
  params.kv.blocks = blocks;
  params.heads = 64;
  params.rows.total = rows;
  params.rows.sequences = 1;
  return params;
}

TEST(SoftmaxDecodeConfig, FillsTheDeviceButNotWithCrumbs) {
  EXPECT_EQ(config_softmax_decode(softmax(1, 16'384), 132).splits, 33);  // 8 heads × 33 = 2 × 132
  EXPECT_EQ(config_softmax_decode(softmax(1, 8), 132).splits, 2);        // 4 pages each
  EXPECT_EQ(config_softmax_decode(softmax(1, 1), 132).splits, 1);
  EXPECT_EQ(config_softmax_decode(softmax(64, 16'384), 132).splits, 1);
  const SoftmaxDecodeConfig config = config_softmax_decode(softmax(3, 16'384), 132);
  EXPECT_EQ(config.workspace_bytes, int64_t{3} * 8 * config.splits * 8 * 130 * 4);
}

TEST(SoftmaxDecodeConfig, AlikeForAllRowsAndTables) {
  for (const int64_t rows : {1, 3, 64}) {
    for (const int64_t blocks : {1, 8, 16'384}) {
      const SoftmaxDecodeConfig config = config_softmax_decode_alike(softmax(rows, blocks));
      EXPECT_EQ(config.splits, 16);
      EXPECT_EQ(config.workspace_bytes, rows * 8 * 16 * 8 * 130 * 4);
    }
  }
}

TEST(GroupedGemmConfig, SmallerTilesWhereLargeOnesAreTooFew) {
  const auto rows_of = [](int64_t rows, int experts, int n, bool gated, DType type) {
    GroupedGemmParams params;
    params.rows = rows;
    params.experts = experts;
    params.n = n;
    params.gated = gated;
    return grouped_tile_rows(params, type, 132);
  };
  EXPECT_EQ(rows_of(16'384, 32, 9216, true, DType::kBf16), kBf16TileRows);
  EXPECT_EQ(rows_of(16'384, 32, 9216, true, DType::kF8E4M3), kFp8TileRows);
  EXPECT_EQ(rows_of(2048, 1, 512, false, DType::kBf16), 32);             // 2 × 64 tiles
  EXPECT_EQ(rows_of(2048, 1, 1536, false, DType::kBf16), 96);            // 6 × 22
  EXPECT_EQ(rows_of(4096, 8, 1024, true, DType::kBf16), kBf16TileRows);  // 8 × 8 × 3
  EXPECT_EQ(rows_of(1, 1, 256, false, DType::kBf16), 32);
}

TEST(SoftmaxConfig, FastKernelsWantPagesOfTheirTypeAndSize) {
  SoftmaxParams params = softmax(1, 4);
  EXPECT_TRUE(fits_softmax_decode(params));
  EXPECT_TRUE(fits_softmax_prefill(params));
  params.heads = 72;  // nine a key/value head
  EXPECT_FALSE(fits_softmax_decode(params));
  EXPECT_TRUE(fits_softmax_prefill(params));
  params = softmax(1, 4);
  for (const DType codes : {DType::kF8E4M3, DType::kI8}) {
    params.kv.dtype = codes;
    params.kv.scales = reinterpret_cast<float*>(address(512));
    EXPECT_TRUE(fits_softmax_decode(params));
    EXPECT_TRUE(fits_softmax_prefill(params));
    params.kv.scales = reinterpret_cast<float*>(address(516));
    EXPECT_FALSE(fits_softmax_decode(params));
    EXPECT_FALSE(fits_softmax_prefill(params));
  }
  params = softmax(1, 4);
  params.q = {address(4104), DType::kF32, 8192, 128};
  EXPECT_FALSE(fits_softmax_prefill(params));
  params = softmax(1, 4);
  params.kv.size = 64;
  EXPECT_FALSE(fits_softmax_decode(params));
  EXPECT_FALSE(fits_softmax_prefill(params));
}

TEST(LightningConfig, FastKernelsWantAlignedRowsOfTheirSize) {
  LightningParams params;
  params.q = params.k = params.v = {address(4096), DType::kBf16, 24'576, 384};
  params.tail_type = DType::kBf16;
  params.size = 128;
  EXPECT_TRUE(fits_lightning_prefill(params));
  EXPECT_TRUE(fits_lightning_decode(params));
  params.k.data = address(4098);
  EXPECT_FALSE(fits_lightning_prefill(params));
  EXPECT_FALSE(fits_lightning_decode(params));
  params.k = params.q;
  params.v.row_stride = 24'577;
  EXPECT_FALSE(fits_lightning_prefill(params));
  params.v = params.q;
  params.tail_type = DType::kF32;  // f32 computation: operands must not be rounded
  EXPECT_FALSE(fits_lightning_prefill(params));
  EXPECT_TRUE(fits_lightning_decode(params));
}

TEST(SkinnyLinearConfig, IsForFewRowsAnExpert) {
  LinearParams params;
  params.x = address(4096);
  params.x_type = DType::kBf16;
  params.shape = {WeightKind::kBf16, 0, 9216, 6144};
  params.experts = 32;
  params.rows = 128;
  EXPECT_TRUE(fits_skinny_linear(params));
  EXPECT_TRUE(prefers_skinny_linear(params));
  params.rows = 4096;
  EXPECT_FALSE(prefers_skinny_linear(params));
  params.shape.kind = WeightKind::kInt8;
  EXPECT_FALSE(fits_skinny_linear(params));
  params.shape.kind = WeightKind::kFp8;  // with rows that were rounded
  EXPECT_FALSE(fits_skinny_linear(params));
  params.x_type = DType::kF8E4M3;
  EXPECT_TRUE(fits_skinny_linear(params));
  params.shape.cols = 6152;
  EXPECT_FALSE(fits_skinny_linear(params));
}

TEST(NarrowLinearConfig, WantsWholeLoadsOfWeights) {
  LinearParams params;
  params.x = address(4096);
  ExpertWeights weights;
  weights.at[0].data = address(4096);
  params.shape = {WeightKind::kInt8, 0, 9216, 6144};
  params.rows = 32;
  EXPECT_TRUE(fits_narrow_linear(params, weights));
  EXPECT_TRUE(prefers_narrow_linear(params));
  params.rows = 33;
  EXPECT_FALSE(prefers_narrow_linear(params));
  params.shape.cols = 6152;  // not in groups of 16 codes
  EXPECT_FALSE(fits_narrow_linear(params, weights));
  params.shape = {WeightKind::kInt4F32, 32, 9216, 6144};
  EXPECT_TRUE(fits_narrow_linear(params, weights));
  weights.at[0].data = address(4100);
  EXPECT_FALSE(fits_narrow_linear(params, weights));
}

}  // namespace
}  // namespace mm::cuda
