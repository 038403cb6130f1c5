#include "tensor/matcher.h"

#include <string>

#include "base/error.h"

namespace mm {
namespace {

bool contains(DTypeSet types, DType dtype) {
  return (static_cast<uint32_t>(types) >> static_cast<unsigned>(dtype) & 1u) != 0;
}

bool is_letter(char c) {
  return 'A' <= c && c <= 'Z';
}

std::string describe(DTypeSet types) {
  std::string text;
  for (int i = 0; i <= static_cast<int>(DType::kBool); ++i) {
    if (!contains(types, static_cast<DType>(i)))
      continue;
    if (!text.empty())
      text += " or ";
    text += to_string(static_cast<DType>(i));
  }
  return text;
}

bool layout_holds(const TensorView& view, Layout layout) {
  if (layout == Layout::kContiguous)
    return view.is_contiguous();
  const int last = view.rank - 1;
  return view.rank == 0 || view.dim(last) <= 1 || view.stride(last) == 1;
}

}  // namespace

bool ShapeMatcher::match_size(const char*& pattern, int64_t size) {
  if (*pattern == '*') {
    ++pattern;
    return true;
  }
  if (is_letter(*pattern)) {
    int64_t& known = sizes_[index(*pattern++)];
    int64_t more = 0;
    if (*pattern == '+') {
      more = pattern[1] - '0';
      pattern += 2;
    }
    if (known == kUnknown)
      known = size - more;
    return known >= 0 && known + more == size;
  }
  int64_t literal = 0;
  for (; '0' <= *pattern && *pattern <= '9'; ++pattern) literal = literal * 10 + (*pattern - '0');
  return literal == size;
}

bool ShapeMatcher::match_shape(const TensorView& view, const char* pattern) {
  for (int axis = 0; axis < view.rank; ++axis) {
    if (*pattern == '\0' || !match_size(pattern, view.dim(axis)))
      return false;
    if (*pattern == ' ')
      ++pattern;
  }
  return *pattern == '\0';
}

void ShapeMatcher::operator()(const char* argument, const TensorView& view, DTypeSet types,
                              const char* pattern, Layout layout) {
  const bool good = contains(types, view.dtype) && match_shape(view, pattern) &&
                    layout_holds(view, layout) && (view.data != nullptr || view.numel() == 0);
  if (!good) [[unlikely]]
    fail_tensor(argument, view, types, pattern, layout);
}

void ShapeMatcher::bind(const char* argument, char letter, int64_t size) {
  int64_t& known = sizes_[index(letter)];
  if (known == kUnknown)
    known = size;
  if (known != size) [[unlikely]]
    raise(ErrorKind::kInternal, "{}: {} has {} = {}, expected {}", op_, argument, letter, size,
          known);
}

void ShapeMatcher::fail(const char* sentence) const {
  raise(ErrorKind::kInternal, "{}: {}", op_, sentence);
}

void ShapeMatcher::fail_tensor(const char* argument, const TensorView& view, DTypeSet types,
                               const char* pattern, Layout layout) const {
  std::string sizes;
  for (const char* c = pattern; *c != '\0'; ++c) {
    if (is_letter(*c) && sizes_[index(*c)] != kUnknown)
      sizes += fmt::format("{} {} = {}", sizes.empty() ? " with" : ",", *c, sizes_[index(*c)]);
  }
  std::string strides;
  for (int axis = 0; axis < view.rank; ++axis)
    strides += fmt::format("{}{}", axis == 0 ? "" : ", ", view.stride(axis));
  raise(ErrorKind::kInternal, "{}: {} is {} (strides {}{}), expected {} [{}]{}, {}", op_, argument,
        to_string(view), strides, view.data == nullptr ? ", no memory" : "", describe(types),
        pattern, sizes,
        layout == Layout::kContiguous ? "contiguous" : "unit stride along the last axis");
}

}  // namespace mm
