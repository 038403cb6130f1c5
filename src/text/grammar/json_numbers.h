/// Texts of JSON numbers within bounds.
#pragma once

#include <cstdint>
#include <optional>

#include "text/grammar/expression.h"

namespace mm::grammar {

/// Integers of more digits than this are never written: all are exact as doubles.
inline constexpr int kMaxDigits = 15;
/// 10^kMaxDigits - 1.
inline constexpr int64_t kMaxInteger = 999'999'999'999'999;

/// Integers from `min` to `max`, both included and within ±kMaxInteger; none if min > max.
Expression integers(int64_t min, int64_t max);

/// Any number: up to 15 digits before the point and 16 behind it, an exponent of up to two.
Expression any_number();

/// A bound of numbers, as the integer `scaled` / 10^`digits`.
struct Bound {
  int64_t scaled = 0;
  int digits = 0;  ///< behind the point, without trailing zeros
  bool exclusive = false;
};

/// The bound with exactly the value that a JSON text of it means. Empty if it needs more than 15
/// digits, before and behind the point together.
std::optional<Bound> make_bound(double value, bool exclusive);

/// Numbers within bounds, without exponents and with no more digits in all than a double keeps
/// apart, so that a reader's rounding cannot move one over a bound.
Expression numbers(const std::optional<Bound>& min, const std::optional<Bound>& max);

}  // namespace mm::grammar
