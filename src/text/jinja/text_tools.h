/// String operations that both filters and methods offer.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace mm::jinja {

enum class StripSide { kLeft, kRight, kBoth };
/// `text` (a string value) without the code points of `set`, white space when null.
Value strip(Budget& budget, const Value& text, const std::string* set, StripSide side);

/// The first `count` occurrences of `from` (all when negative) replaced by `to`.
Value replace(Budget& budget, std::string_view text, std::string_view from, std::string_view to,
              int64_t count);

enum class PadSide { kLeft, kRight, kBoth };
/// `text` (a string value) filled up to `width` code points.
Value pad(Budget& budget, const Value& text, int64_t width, std::string_view fill, PadSide side);

}  // namespace mm::jinja
