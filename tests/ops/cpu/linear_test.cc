#include "ops/cpu/linear.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/float_types.h"
#include "base/rng.h"

namespace mm::cpu {
namespace {

// ---- operands ----------------------------------------------------------------------------------

/// Bytes whose last one ends a page that nothing may read past: a load beyond a matrix crashes.
class GuardedBytes {
 public:
  explicit GuardedBytes(int64_t bytes) {
    const int64_t page = sysconf(_SC_PAGESIZE);
    const int64_t body = (bytes + page - 1) / page * page;
    size_ = static_cast<size_t>(body + page);
    base_ = static_cast<char*>(
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(mprotect(base_ + body, static_cast<size_t>(page), PROT_NONE), 0);
    data_ = base_ + (body - bytes);
  }
  ~GuardedBytes() { munmap(base_, size_); }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;
  char* data() const { return data_; }

 private:
  char* base_ = nullptr;
  char* data_ = nullptr;
  size_t size_ = 0;
};

enum class Format { kBf16, kF16, kF32, kInt8, kInt8Bf16Scale, kFp8, kInt4, kInt4F32Scale };

struct Kind {
  Format format;
  int group = 0;
};

const std::vector<Kind> kKinds = {{Format::kBf16},
                                  {Format::kF16},
                                  {Format::kF32},
                                  {Format::kInt8},
                                  {Format::kInt8Bf16Scale},
                                  {Format::kFp8},
                                  {Format::kInt4, 32},
                                  {Format::kInt4, 64},
                                  {Format::kInt4, 128},
                                  {Format::kInt4F32Scale, 32},
                                  {Format::kInt4F32Scale, 64},
                                  {Format::kInt4F32Scale, 128}};

bool is_int4(Kind kind) {
  return kind.group != 0;
}

std::string name_of(Kind kind) {
  const char* names[] = {"bf16", "f16",  "f32",           "int8", "int8 bf16 scale",
                         "fp8",  "int4", "int4 f32 scale"};
  return std::string(names[static_cast<int>(kind.format)]) +
         (kind.group != 0 ? " g" + std::to_string(kind.group) : "");
}

/// A number in [-1, 1) that depends on its place alone.
float random_at(uint64_t stream, int64_t index) {
  return static_cast<float>(philox_uniform(7, stream, static_cast<uint64_t>(index)) * 2 - 1);
}

template <typename T>
void put(char* base, int64_t index, T value) {
  std::memcpy(base + index * int64_t{sizeof(T)}, &value, sizeof(T));
}

/// A random matrix of one kind at the very end of readable memory, and its exact values.
struct TestWeight {
  TestWeight(Kind kind_in, int64_t rows, int64_t cols, uint64_t stream)
      : kind(kind_in),
        data(rows * cols * bits(kind_in) / 8),
        scales(rows * groups(kind_in, cols) * scale_bytes(kind_in)),
        values(static_cast<size_t>(rows * cols)),
        magnitudes(values.size()) {
    for (int64_t n = 0; n < rows; ++n) {
      for (int64_t k = 0; k < cols; ++k) fill(n, k, cols, stream);
    }
    describe(rows, cols);
  }

  static int64_t bits(Kind kind) {
    switch (kind.format) {
      case Format::kF32:
        return 32;
      case Format::kBf16:
      case Format::kF16:
        return 16;
      case Format::kInt8:
      case Format::kInt8Bf16Scale:
      case Format::kFp8:
        return 8;
      default:
        return 4;
    }
  }
  static int64_t groups(Kind kind, int64_t cols) { return is_int4(kind) ? cols / kind.group : 1; }
  static int64_t scale_bytes(Kind kind) {
    return kind.format == Format::kInt8Bf16Scale || kind.format == Format::kInt4 ? 2 : 4;
  }
  bool bf16_scales() const { return scale_bytes(kind) == 2; }

  float group_scale(int64_t index, uint64_t stream) {
    if (index == last_group)
      return last_scale;
    float s = (random_at(stream + 1, index) + 1.5F) * 0.01F;
    if (bf16_scales()) {
      put(scales.data(), index, to_bfloat16(s));
      s = to_float(to_bfloat16(s));
    } else {
      put(scales.data(), index, s);
    }
    last_group = index;
    last_scale = s;
    return s;
  }

  void fill(int64_t n, int64_t k, int64_t cols, uint64_t stream) {
    const int64_t i = n * cols + k;
    const float r = random_at(stream, i);
    double value = 0;
    double magnitude = 0;
    if (kind.format == Format::kF32) {
      put(data.data(), i, r);
      value = r;
    } else if (kind.format == Format::kBf16) {
      put(data.data(), i, to_bfloat16(r));
      value = to_float(to_bfloat16(r));
    } else if (kind.format == Format::kF16) {
      put(data.data(), i, to_float16(r));
      value = to_float(to_float16(r));
    } else if (kind.format == Format::kFp8) {
      // Any code, subnormals and both zeros among them, but the two that are no numbers.
      auto bits = static_cast<uint8_t>((r + 1) * 128);
      bits = (bits & 0x7f) == 0x7f ? static_cast<uint8_t>(bits - 1) : bits;
      put(data.data(), i, Float8E4M3{bits});
      value = static_cast<double>(to_float(Float8E4M3{bits})) * group_scale(n, stream);
    } else if (!is_int4(kind)) {
      const auto q = static_cast<int8_t>(std::lround(r * 127));
      put(data.data(), i, q);
      value = static_cast<double>(q) * group_scale(n, stream);
    } else {
      const auto q = static_cast<int>(std::floor(r * 8));
      auto* byte = reinterpret_cast<uint8_t*>(data.data()) + i / 2;
      *byte = static_cast<uint8_t>(*byte | ((q + 8) << (i % 2 * 4)));
      const float s = group_scale(n * (cols / kind.group) + k / kind.group, stream);
      value = static_cast<double>(q) * s;
      magnitude = static_cast<double>(q + 8 + 8) * s;  // see the bound
    }
    values[static_cast<size_t>(i)] = value;
    magnitudes[static_cast<size_t>(i)] = is_int4(kind) ? magnitude : std::abs(value);
  }

  void describe(int64_t rows, int64_t cols) {
    weight.rows = rows;
    weight.cols = cols;
    const DType scale_type = bf16_scales() ? DType::kBf16 : DType::kF32;
    switch (kind.format) {
      case Format::kF32:
        weight.data = TensorView::contiguous(data.data(), DType::kF32, {rows, cols});
        return;
      case Format::kBf16:
        weight.data = TensorView::contiguous(data.data(), DType::kBf16, {rows, cols});
        return;
      case Format::kF16:
        weight.data = TensorView::contiguous(data.data(), DType::kF16, {rows, cols});
        return;
      case Format::kInt8:
      case Format::kInt8Bf16Scale:
        weight.format = QuantFormat::kInt8Channel;
        weight.data = TensorView::contiguous(data.data(), DType::kI8, {rows, cols});
        weight.scales = TensorView::contiguous(scales.data(), scale_type, {rows, 1});
        return;
      case Format::kFp8:
        weight.format = QuantFormat::kFp8Channel;
        weight.data = TensorView::contiguous(data.data(), DType::kF8E4M3, {rows, cols});
        weight.scales = TensorView::contiguous(scales.data(), scale_type, {rows, 1});
        return;
      default:
        weight.format = QuantFormat::kInt4Group;
        weight.group_size = kind.group;
        weight.data = TensorView::contiguous(data.data(), DType::kI32, {rows, cols / 8});
        weight.scales =
            TensorView::contiguous(scales.data(), scale_type, {rows, cols / kind.group});
    }
  }

  Kind kind;
  int64_t last_group = -1;
  float last_scale = 0;
  GuardedBytes data;
  GuardedBytes scales;
  std::vector<double> values;
  std::vector<double> magnitudes;
  Weight weight;
};

/// Random activations at the end of readable memory, f32 values that bf16 holds exactly.
struct TestRows {
  TestRows(DType dtype, int64_t rows, int64_t cols)
      : data(rows * cols * size_of(dtype)),
        view(TensorView::contiguous(data.data(), dtype, {rows, cols})),
        values(static_cast<size_t>(rows * cols)) {
    for (int64_t i = 0; i < rows * cols; ++i) {
      const BFloat16 value = to_bfloat16(random_at(99, i));
      if (dtype == DType::kBf16)
        put(data.data(), i, value);
      else
        put(data.data(), i, to_float(value));
      values[static_cast<size_t>(i)] = to_float(value);
    }
  }
  GuardedBytes data;
  TensorView view;
  std::vector<float> values;
};

struct Shape {
  int64_t rows, n, k;
};

std::vector<uint32_t> bits_of(const TensorView& view) {
  std::vector<uint32_t> bits(static_cast<size_t>(view.numel()));
  for (size_t i = 0; i < bits.size(); ++i) {
    if (view.dtype == DType::kBf16)
      bits[i] = view.ptr<BFloat16>()[i].bits;
    else
      bits[i] = std::bit_cast<uint32_t>(view.ptr<float>()[i]);
  }
  return bits;
}

std::vector<uint32_t> product(int threads, LinearIsa isa, const TensorView& x, const Weight& w,
                              DType out_type) {
  ThreadPool pool(threads);
  LinearScratch scratch(isa);
  const Tensor out(out_type, {x.dim(0), w.rows});
  linear(pool, scratch, x, w, out);
  return bits_of(out);
}

int64_t columns_for(Kind kind, int64_t k) {
  return is_int4(kind) ? (k + kind.group - 1) / kind.group * kind.group : k;
}

class LinearTest : public testing::TestWithParam<LinearIsa> {};

INSTANTIATE_TEST_SUITE_P(Isa, LinearTest, testing::ValuesIn(available_isas()),
                         [](const auto& tested) { return std::string(to_string(tested.param)); });

// ---- values ------------------------------------------------------------------------------------

// With u = 2^-24, L lanes and a product of K columns in g int4 groups (0 else), a lane adds at most
// ceil(K/L) + 8 terms (K is filled up to whole units) with one rounding each (two without a fused
// multiply-add), g of them again when a group is scaled into the sum; then come log2 L roundings of
// the lane tree and one of a row scale. So |error| <= (2 (K/L + 8) + g + log2 L + 1) u M, to first
// order, with M = Σ|x||w|. For int4 nibbles n = q + 8 are summed onto a bias of -8 Σ x: M = Σ |x|
// (n + 8) s. The factor 2 also covers the bf16 dot product, which has half of the lanes.
double bound(LinearIsa isa, const TestWeight& w, int64_t n, const TestRows& x, int64_t t) {
  const double lanes = isa == LinearIsa::kPortable ? 4 : isa == LinearIsa::kAvx2 ? 8 : 16;
  const auto cols = static_cast<double>(w.weight.cols);
  const double groups = is_int4(w.kind) ? cols / w.kind.group : 0;
  double magnitude = 0;
  for (int64_t k = 0; k < w.weight.cols; ++k)
    magnitude += std::abs(x.values[static_cast<size_t>(t * w.weight.cols + k)]) *
                 w.magnitudes[static_cast<size_t>(n * w.weight.cols + k)];
  return (2 * (cols / lanes + 8) + groups + std::log2(lanes) + 1) * 0x1p-24 * magnitude;
}

void expect_near_double_loop(LinearIsa isa, Kind kind, const Shape& shape, DType x_type) {
  const int64_t cols = columns_for(kind, shape.k);
  const TestWeight w(kind, shape.n, cols, 3);
  const TestRows x(x_type, shape.rows, cols);
  const std::vector<uint32_t> got = product(2, isa, x.view, w.weight, DType::kF32);
  const std::vector<uint32_t> rounded = product(2, isa, x.view, w.weight, DType::kBf16);
  for (int64_t t = 0; t < shape.rows; ++t) {
    for (int64_t n = 0; n < shape.n; ++n) {
      double expected = 0;
      for (int64_t k = 0; k < cols; ++k)
        expected += static_cast<double>(x.values[static_cast<size_t>(t * cols + k)]) *
                    w.values[static_cast<size_t>(n * cols + k)];
      const auto i = static_cast<size_t>(t * shape.n + n);
      const float value = std::bit_cast<float>(got[i]);
      ASSERT_NEAR(value, expected, bound(isa, w, n, x, t))
          << name_of(kind) << " x " << to_string(x_type) << " T " << shape.rows << " N " << shape.n
          << " K " << cols << " at " << t << ", " << n;
      ASSERT_EQ(rounded[i], to_bfloat16(value).bits);
    }
  }
}

TEST_P(LinearTest, IsADotProductInEveryFormat) {
  for (Kind kind : kKinds) {
    for (DType x_type : {DType::kF32, DType::kBf16}) {
      for (int64_t k : {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 96, 100, 127, 129, 160, 512})
        expect_near_double_loop(GetParam(), kind, {1 + k % 5, 1 + k % 9, k}, x_type);
      for (int64_t n : {1, 2, 3, 4, 5, 7, 8, 9, 31})
        expect_near_double_loop(GetParam(), kind, {n, 32 - n, 70}, x_type);
    }
  }
}

TEST_P(LinearTest, IsADotProductWhenKTakesSeveralPasses) {
  for (Kind kind : kKinds) {
    for (int64_t k : {1025, 2048, 4100, 6144})
      expect_near_double_loop(GetParam(), kind, {7, 6, k}, DType::kF32);
    expect_near_double_loop(GetParam(), kind, {40, 9, 3001}, DType::kBf16);
  }
}

TEST_P(LinearTest, EmptyOperandsGiveNothingOrZeros) {
  for (Kind kind : kKinds) {
    EXPECT_TRUE(product(2, GetParam(), TestRows(DType::kF32, 0, 128).view,
                        TestWeight(kind, 5, 128, 3).weight, DType::kF32)
                    .empty());
    EXPECT_TRUE(product(2, GetParam(), TestRows(DType::kF32, 5, 128).view,
                        TestWeight(kind, 0, 128, 3).weight, DType::kF32)
                    .empty());
    for (int64_t rows : {1, 9}) {
      const std::vector<uint32_t> zeros =
          product(2, GetParam(), TestRows(DType::kF32, rows, 0).view,
                  TestWeight(kind, 6, 0, 3).weight, DType::kF32);
      EXPECT_EQ(zeros, std::vector<uint32_t>(static_cast<size_t>(rows * 6)));
    }
  }
}

TEST_P(LinearTest, NotANumberStaysInItsRowAndColumn) {
  const int64_t cols = 37;
  for (int64_t rows : {2, 9}) {
    const TestWeight w({Format::kBf16}, 6, cols, 3);
    const TestRows x(DType::kF32, rows, cols);
    put(w.data.data(), 2 * cols, to_bfloat16(std::numeric_limits<float>::quiet_NaN()));
    put(x.data.data(), cols, std::numeric_limits<float>::quiet_NaN());
    for (DType out : {DType::kF32, DType::kBf16}) {
      const std::vector<uint32_t> bits = product(1, GetParam(), x.view, w.weight, out);
      for (int64_t i = 0; i < rows * 6; ++i) {
        const uint32_t b = bits[static_cast<size_t>(i)];
        const float value = std::bit_cast<float>(out == DType::kBf16 ? b << 16 : b);
        EXPECT_EQ(std::isnan(value), i / 6 == 1 || i % 6 == 2) << i;
      }
    }
  }
}

// ---- equal bits --------------------------------------------------------------------------------

std::vector<uint32_t> row_by_row(LinearIsa isa, const TestRows& x, const Weight& w,
                                 DType out_type) {
  std::vector<uint32_t> bits;
  for (int64_t t = 0; t < x.view.dim(0); ++t) {
    const std::vector<uint32_t> row = product(1, isa, x.view.slice(t, t + 1), w, out_type);
    bits.insert(bits.end(), row.begin(), row.end());
  }
  return bits;
}

void expect_equal_bits(LinearIsa isa, Kind kind, int64_t n, int64_t k) {
  const int64_t cols = columns_for(kind, k);
  const TestWeight w(kind, n, cols, 3);
  constexpr int64_t kMost = 600;  // more than any kernel takes without a panel
  for (DType x_type : {DType::kF32, DType::kBf16}) {
    const TestRows x(x_type, kMost, cols);
    const std::vector<uint32_t> expected = row_by_row(isa, x, w.weight, DType::kF32);
    for (int64_t rows :
         std::initializer_list<int64_t>{1, 2, 3, 4, 5, 7, 8, 13, 64, 65, 200, kMost}) {
      for (int threads : {1, 2, 3}) {
        const int64_t first = (kMost - rows) / 2;  // not the same place in a tile
        const std::vector<uint32_t> got =
            product(threads, isa, x.view.slice(first, first + rows), w.weight, DType::kF32);
        const auto* begin = expected.data() + first * n;
        ASSERT_EQ(got, std::vector<uint32_t>(begin, begin + rows * n))
            << name_of(kind) << " x " << to_string(x_type) << " T " << rows << " N " << n << " K "
            << cols << " threads " << threads;
      }
    }
  }
}

TEST_P(LinearTest, BitsDoNotDependOnRowsOrThreads) {
  for (Kind kind : kKinds) {
    expect_equal_bits(GetParam(), kind, 9, 77);
    expect_equal_bits(GetParam(), kind, 70, 320);
  }
}

TEST_P(LinearTest, BitsDoNotDependOnRowsWhenKTakesSeveralPasses) {
  for (Kind kind : kKinds) expect_equal_bits(GetParam(), kind, 6, 2315);
}

TEST_P(LinearTest, BitsDoNotDependOnThePlaceInTheMatrix) {
  for (Kind kind : kKinds) {
    const int64_t cols = columns_for(kind, 200);
    const TestWeight w(kind, 37, cols, 3);
    for (int64_t rows : {1, 3, 20}) {
      const TestRows x(DType::kF32, rows, cols);
      const std::vector<uint32_t> whole = product(1, GetParam(), x.view, w.weight, DType::kF32);
      for (int64_t n = 0; n < 37; ++n) {
        const std::vector<uint32_t> column =
            product(1, GetParam(), x.view, w.weight.slice_rows(n, n + 1), DType::kF32);
        for (int64_t t = 0; t < rows; ++t)
          ASSERT_EQ(column[static_cast<size_t>(t)], whole[static_cast<size_t>(t * 37 + n)]);
      }
    }
  }
}

// ---- the other entries -------------------------------------------------------------------------

/// The columns [0, cols) of a wider matrix.
TensorView narrow(const TensorView& wide, int64_t cols) {
  TensorView view = wide;
  view.shape[1] = cols;
  return view;
}

TEST_P(LinearTest, RowsMayLieApart) {
  ThreadPool pool(2);
  LinearScratch scratch(GetParam());
  const TestWeight w({Format::kInt8}, 10, 48, 3);
  for (DType dtype : {DType::kF32, DType::kBf16}) {
    for (int64_t rows : {1, 2, 11}) {
      const TestRows wide(dtype, rows, 60);
      const Tensor dense(dtype, {rows, 48});
      for (int64_t t = 0; t < rows; ++t)
        std::memcpy(static_cast<char*>(dense.view().data) + t * 48 * size_of(dtype),
                    wide.data.data() + t * 60 * size_of(dtype),
                    static_cast<size_t>(48 * size_of(dtype)));
      const Tensor out(DType::kF32, {rows, 13});
      linear(pool, scratch, narrow(wide.view, 48), w.weight, narrow(out, 10));
      const std::vector<uint32_t> expected = product(1, GetParam(), dense, w.weight, DType::kF32);
      for (int64_t t = 0; t < rows; ++t) {
        for (int64_t n = 0; n < 13; ++n)
          EXPECT_EQ(std::bit_cast<uint32_t>(out.ptr<float>()[t * 13 + n]),
                    n < 10 ? expected[static_cast<size_t>(t * 10 + n)] : 0U);
      }
    }
  }
}

TEST_P(LinearTest, SeveralProductsOfOneXEqualEachAlone) {
  for (int64_t rows : {1, 2, 5, 70}) {
    const TestRows x(DType::kBf16, rows, 256);
    const TestWeight q({Format::kInt4, 128}, 64, 256, 3);
    const TestWeight k({Format::kInt4, 32}, 9, 256, 5);
    const TestWeight v({Format::kInt8}, 33, 256, 7);
    const TestWeight gate({Format::kBf16}, 8, 256, 9);
    const TestWeight up({Format::kF16}, 5, 256, 11);
    const Weight weights[] = {q.weight, k.weight, v.weight, gate.weight, up.weight};
    std::vector<Tensor> outs;
    std::vector<Projection> projections;
    for (const Weight& w : weights) {
      outs.emplace_back(DType::kF32, std::initializer_list<int64_t>{rows, w.rows});
      projections.push_back({w, outs.back()});
    }
    ThreadPool pool(2);
    LinearScratch scratch(GetParam());
    project(pool, scratch, x.view, projections);
    for (size_t i = 0; i < outs.size(); ++i)
      EXPECT_EQ(bits_of(outs[i]), product(1, GetParam(), x.view, weights[i], DType::kF32)) << i;
  }
}

TEST_P(LinearTest, GroupsOfRowsEqualEachAlone) {
  const std::vector<std::vector<int32_t>> cases = {
      {0, 0, 1, 1, 2}, {0, 5, 5, 6, 80}, {0, 0, 0, 0, 0}, {0, 1, 2, 3, 4}, {0, 0, 0, 0, 9}};
  for (Kind kind : kKinds) {
    std::vector<std::unique_ptr<TestWeight>> experts;
    std::vector<Weight> weights;
    for (uint64_t e = 0; e < 4; ++e) {
      experts.push_back(std::make_unique<TestWeight>(kind, 50, columns_for(kind, 130), e * 2));
      weights.push_back(experts.back()->weight);
    }
    for (const std::vector<int32_t>& offsets : cases) {
      const TestRows x(DType::kF32, offsets.back(), columns_for(kind, 130));
      const Tensor out(DType::kBf16, {offsets.back(), 50});
      ThreadPool pool(3);
      LinearScratch scratch(GetParam());
      grouped_linear(pool, scratch, x.view,
                     TensorView::contiguous(offsets.data(), DType::kI32, {5}), weights, out);
      std::vector<uint32_t> expected;
      for (size_t e = 0; e < 4; ++e) {
        const std::vector<uint32_t> part = product(
            1, GetParam(), x.view.slice(offsets[e], offsets[e + 1]), weights[e], DType::kBf16);
        expected.insert(expected.end(), part.begin(), part.end());
      }
      EXPECT_EQ(bits_of(out), expected) << name_of(kind);
    }
  }
}

TEST(EmbedTest, WidensRowsOfEveryFormat) {
  ThreadPool pool(2);
  std::vector<int32_t> ids;
  for (int32_t i = 0; i < 40; ++i) ids.push_back(i * 7 % 11);
  for (Kind kind : kKinds) {
    const int64_t cols = columns_for(kind, 50);
    const TestWeight table(kind, 11, cols, 3);
    const Tensor out(DType::kF32, {40, cols});
    embed(pool, TensorView::contiguous(ids.data(), DType::kI32, {40}), table.weight, out);
    for (int64_t t = 0; t < 40; ++t) {
      for (int64_t d = 0; d < cols; ++d) {
        const double value =
            table.values[static_cast<size_t>(ids[static_cast<size_t>(t)] * cols + d)];
        ASSERT_EQ(out.ptr<float>()[t * cols + d], static_cast<float>(value)) << name_of(kind);
      }
    }
  }
}

TEST(LinearIsaTest, ReadsTheEnvironment) {
  ASSERT_EQ(setenv("MINIMAX_CPU_ISA", "portable", 1), 0);
  EXPECT_EQ(selected_isa(), LinearIsa::kPortable);
  ASSERT_EQ(setenv("MINIMAX_CPU_ISA", "sse9", 1), 0);
  EXPECT_THROW(selected_isa(), Error);
  if (!is_available(LinearIsa::kAvx512Bf16)) {
    ASSERT_EQ(setenv("MINIMAX_CPU_ISA", "avx512", 1), 0);
    EXPECT_THROW(selected_isa(), Error);
  }
  ASSERT_EQ(unsetenv("MINIMAX_CPU_ISA"), 0);
  EXPECT_EQ(selected_isa(), best_isa());
  EXPECT_FALSE(cpu_features().empty());
}

}  // namespace
}  // namespace mm::cpu
