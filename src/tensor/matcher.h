/// Shape patterns with named sizes: how an op states its contract.
#pragma once

#include <array>
#include <cstdint>

#include "tensor/tensor.h"

namespace mm {

/// A set of element types, one bit per DType.
enum class DTypeSet : uint32_t {
  kF32 = 1u << static_cast<unsigned>(DType::kF32),
  kI32 = 1u << static_cast<unsigned>(DType::kI32),
  kI8 = 1u << static_cast<unsigned>(DType::kI8),
  kF8 = 1u << static_cast<unsigned>(DType::kF8E4M3),
  kFloat = kF32 | 1u << static_cast<unsigned>(DType::kBf16),  ///< f32 or bf16
  kStored = kFloat | 1u << static_cast<unsigned>(DType::kF16),
  kCached = kFloat | kI8 | kF8,  ///< what keys and values may be kept as
};

/// What an op needs to know about strides.
enum class Layout {
  kContiguous,
  kUnitRows,  ///< any strides but 1 along the last axis
};

/// Checks the tensors of one call. A pattern lists axes: a capital letter names a size (the same
/// letter must have the same value throughout the call), `N+1` is one more than that size, a number
/// stands for itself and `*` for anything:
///
///   ShapeMatcher match("rms_norm");
///   match("x", x, DTypeSet::kF32, "T D");
///   match("weight", weight, DTypeSet::kF32, "D");
///
/// Allocates nothing unless it fails. Throws kInternal naming op, argument, expected and found.
class ShapeMatcher {
 public:
  /// `op` must outlive the matcher.
  explicit ShapeMatcher(const char* op) : op_(op) { sizes_.fill(kUnknown); }

  /// Matches one tensor, learning the letters it sees first.
  void operator()(const char* argument, const TensorView& view, DTypeSet types, const char* pattern,
                  Layout layout = Layout::kContiguous);

  /// Gives a letter its value from elsewhere, e.g. from a Weight.
  void bind(const char* argument, char letter, int64_t size);

  /// The value of a letter already seen.
  int64_t operator[](char letter) const { return sizes_[index(letter)]; }

  /// A requirement that is not a shape. Throws kInternal "<op>: <sentence>" when `holds` is false.
  void require(bool holds, const char* sentence) const {
    if (!holds) [[unlikely]]
      fail(sentence);
  }

 private:
  static constexpr int64_t kUnknown = -1;
  static size_t index(char letter) { return static_cast<size_t>(letter - 'A'); }

  bool match_size(const char*& pattern, int64_t size);
  bool match_shape(const TensorView& view, const char* pattern);
  [[noreturn]] void fail(const char* sentence) const;
  [[noreturn]] void fail_tensor(const char* argument, const TensorView& view, DTypeSet types,
                                const char* pattern, Layout layout) const;

  const char* op_;
  std::array<int64_t, 26> sizes_;
};

}  // namespace mm
