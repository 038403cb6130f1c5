#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "model/weight_table.h"
#include "model/weights.h"
#include "model/zero_rows.h"

namespace mm {
namespace {

/// 64 random bits per counter, a few operations each: billions of weights are drawn.
/// Source: the finaliser of SplitMix64 (Steele, Lea, Flood 2014).
uint64_t random_bits(uint64_t seed, uint64_t counter) {
  uint64_t z = seed + (counter + 1) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

/// Uniform values with standard deviation 1/sqrt(K), so that products keep their input's size.
double half_width(int64_t cols) {
  return std::sqrt(3.0 / static_cast<double>(cols));
}

// Values come from a table that stays in the first-level cache: one load each, no conversion.
constexpr int kTableBits = 12;
constexpr int64_t kValuesPerDraw = 64 / kTableBits;

template <typename T>
void fill_floats(T* out, int64_t count, double width, uint64_t seed) {
  constexpr size_t kEntries = size_t{1} << kTableBits;
  std::vector<T> table(kEntries);
  for (size_t i = 0; i < kEntries; ++i)
    table[i] = from_float<T>(
        static_cast<float>(width * ((static_cast<double>(i) + 0.5) * 2 / kEntries - 1)));
  const auto draw = [&](int64_t begin, int64_t end) {
    uint64_t bits = random_bits(seed, static_cast<uint64_t>(begin));
    for (int64_t i = begin; i < end; ++i, bits >>= kTableBits) out[i] = table[bits % kEntries];
  };
  // A constant trip count lets the compiler unroll: several times faster.
  int64_t i = 0;
  for (; i + kValuesPerDraw <= count; i += kValuesPerDraw) draw(i, i + kValuesPerDraw);
  draw(i, count);
}

/// Words of random bits, each passed through `make`, for integer formats.
template <typename T, typename Make>
void fill_words(T* out, int64_t count, uint64_t seed, const Make& make) {
  static_assert(sizeof(T) < 8);
  constexpr int64_t kPerDraw = 8 / sizeof(T);
  for (int64_t i = 0; i < count; i += kPerDraw) {
    uint64_t bits = random_bits(seed, static_cast<uint64_t>(i));
    for (int64_t j = i; j < std::min(count, i + kPerDraw); ++j) {
      out[j] = make(static_cast<T>(bits));
      bits >>= 8 * sizeof(T);
    }
  }
}

bool is_quantised(const std::string& format) {
  return format == "int8" || format == "fp8" || format == "int4";
}

/// Allocates and fills the weights of one model.
class RandomFiller {
 public:
  RandomFiller(Model& model, const RandomModelOptions& options)
      : model_(model), options_(options) {}

  void fill(const WeightSlot& slot) {
    seed_ = random_bits(options_.seed, stream_++);
    if (slot.is_vector()) {
      slot.vector(model_) = ones(slot.rows);
    } else {
      slot.matrix(model_) = make_matrix(slot, format_of(slot));
    }
  }

 private:
  static Tensor ones(int64_t size) {
    Tensor tensor(DType::kF32, {size});
    std::fill_n(tensor.ptr<float>(), size, 1.0f);
    return tensor;
  }

  TensorView allocate(DType dtype, int64_t rows, int64_t cols) {
    auto tensor = std::make_shared<Tensor>(dtype, std::initializer_list<int64_t>{rows, cols});
    model_.storage.owners.push_back(tensor);
    return tensor->view();
  }

  std::string format_of(const WeightSlot& slot) const {
    const bool quantised = is_quantised(options_.format);
    if (slot.row->kind == WeightClass::kRouter)
      return "f32";  // as the published checkpoints store it
    if (slot.row->kind == WeightClass::kEmbedding || slot.row->kind == WeightClass::kHead) {
      if (quantised)
        return options_.quantize_embeddings ? "int8" : "bf16";
    }
    return options_.format;
  }

  Weight make_matrix(const WeightSlot& slot, const std::string& format) {
    if (format == "int8")
      return make_int8(slot);
    if (format == "fp8")
      return make_fp8(slot);
    if (format == "int4")
      return make_int4(slot);
    const double width = half_width(slot.cols);
    const TensorView view =
        allocate(format == "f32" ? DType::kF32 : DType::kBf16, slot.rows, slot.cols);
    if (format == "f32") {
      fill_floats(view.ptr<float>(), view.numel(), width, seed_);
    } else {
      fill_floats(view.ptr<BFloat16>(), view.numel(), width, seed_);
    }
    return Weight::dense(view);
  }

  /// Room for codes with one scale per output channel.
  Weight allocate_channels(const WeightSlot& slot, DType codes, QuantFormat format) {
    Weight weight;
    weight.data = allocate(codes, slot.rows, slot.cols);
    weight.scales = allocate(DType::kF32, slot.rows, 1);
    weight.format = format;
    weight.rows = slot.rows;
    weight.cols = slot.cols;
    return weight;
  }

  Weight make_int8(const WeightSlot& slot) {
    const Weight weight = allocate_channels(slot, DType::kI8, QuantFormat::kInt8Channel);
    // The symmetric format has no -128.
    fill_words(weight.data.ptr<int8_t>(), weight.data.numel(), seed_,
               [](int8_t q) { return q == -128 ? int8_t{0} : q; });
    std::fill_n(weight.scales.ptr<float>(), slot.rows,
                static_cast<float>(half_width(slot.cols) / 127));
    return weight;
  }

  Weight make_fp8(const WeightSlot& slot) {
    const Weight weight = allocate_channels(slot, DType::kF8E4M3, QuantFormat::kFp8Channel);
    constexpr double kLargest = 448;
    fill_floats(weight.data.ptr<Float8E4M3>(), weight.data.numel(), kLargest, seed_);
    std::fill_n(weight.scales.ptr<float>(), slot.rows,
                static_cast<float>(half_width(slot.cols) / kLargest));
    return weight;
  }

  Weight make_int4(const WeightSlot& slot) {
    const int group = options_.group_size;
    if (slot.cols % group != 0)
      bad_input("int4 in groups of {}: {} has {} columns, expected a multiple of the group", group,
                slot.name(), slot.cols);
    Weight weight;
    weight.data = allocate(DType::kI32, slot.rows, slot.cols / 8);
    weight.scales = allocate(DType::kBf16, slot.rows, slot.cols / group);
    weight.format = QuantFormat::kInt4Group;
    weight.group_size = group;
    weight.rows = slot.rows;
    weight.cols = slot.cols;
    fill_words(weight.data.ptr<int32_t>(), weight.data.numel(), seed_,
               [](int32_t word) { return word; });
    std::fill_n(weight.scales.ptr<BFloat16>(), weight.scales.numel(),
                to_bfloat16(static_cast<float>(half_width(slot.cols) / 8)));
    return weight;
  }

  Model& model_;
  const RandomModelOptions& options_;
  uint64_t stream_ = 0;
  uint64_t seed_ = 0;
};

void check_options(const RandomModelOptions& options) {
  const std::string& format = options.format;
  if (format != "bf16" && format != "f32" && !is_quantised(format))
    bad_input("format {}, expected bf16, f32, int8, fp8 or int4", format);
  const int group = options.group_size;
  if (format == "int4" && group != 32 && group != 64 && group != 128)
    bad_input("group size {}, expected 32, 64 or 128", group);
}

// Pages are only taken when touched, so a model that does not fit would be killed while it is
// filled, with no word of why.
void check_memory(const ModelConfig& config, const RandomModelOptions& options) {
  double parameters = 0;
  for (const WeightSlot& slot : weight_slots(config))
    parameters += static_cast<double>(slot.parameters());
  const double width = options.format == "f32"    ? 4
                       : options.format == "bf16" ? 2
                       : options.format == "int4" ? 0.5
                                                  : 1;
  const double machine =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  if (parameters * width > machine)
    raise(ErrorKind::kOutOfMemory,
          "a model of this shape has {:.0f} parameters, {:.1f} GB in {}; the machine has {:.1f} GB",
          parameters, parameters * width / 1e9, options.format, machine / 1e9);
}

}  // namespace

Model make_random_model(const ModelConfig& config, const RandomModelOptions& options) {
  validate(config, "model config");
  check_options(options);
  check_memory(config, options);
  Model model = make_empty_model(config);
  if (is_quantised(options.format))
    model.quantization = {"compressed-tensors", options.format == "int4" ? 4 : 8,
                          options.format == "int4" ? options.group_size : 0};
  RandomFiller filler(model, options);
  for (const WeightSlot& slot : weight_slots(config)) filler.fill(slot);
  if (config.tied_embeddings)
    model.head = model.embedding;
  model.zero_rows = find_zero_rows(model.embedding);
  return model;
}

}  // namespace mm
