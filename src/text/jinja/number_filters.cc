// Filters that give numbers, and the smallest, largest and sum of items.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/unicode.h"

namespace mm::jinja {
namespace {

constexpr int64_t kMaxRoundDigits = 300;

std::string without_underscores(std::string_view text) {
  std::string out(strip_right(strip_left(text)));
  // Python takes single underscores between digits.
  for (size_t i = 1; i + 1 < out.size(); ++i) {
    if (out[i] == '_' && out[i - 1] != '_' && out[i + 1] != '_') {
      out.erase(i, 1);
    }
  }
  return out;
}

std::optional<int64_t> read_integer(std::string_view text, int64_t base) {
  if (text.size() > 100) {
    return std::nullopt;
  }
  std::string digits = without_underscores(text);
  const bool negative = !digits.empty() && digits[0] == '-';
  if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) {
    digits.erase(0, 1);
  }
  if (digits.size() > 2 && digits[0] == '0') {
    const char mark = static_cast<char>(digits[1] | 0x20);
    const int64_t named = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (named != 0 && (base == named || base == 0)) {
      digits.erase(0, 2);
      base = named;
    }
  }
  if (base == 0) {
    base = 10;
  }
  if (base < 2 || base > 36 || digits.empty() || digits[0] == '-') {
    return std::nullopt;
  }
  int64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto result = std::from_chars(digits.data(), end, value, static_cast<int>(base));
  if (result.ec == std::errc::result_out_of_range) {
    too_large("the integer {} does not fit in 64 bits", digits);
  }
  if (result.ec != std::errc{} || result.ptr != end) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

std::optional<double> read_float(std::string_view text) {
  if (text.size() > 400) {
    return std::nullopt;
  }
  const std::string digits = without_underscores(text);
  // strtod also takes hexadecimal, which Python does not.
  if (digits.empty() || digits.find_first_of("xXpP") != std::string::npos) {
    return std::nullopt;
  }
  char* end = nullptr;
  const double value = std::strtod(digits.c_str(), &end);
  if (end != digits.c_str() + digits.size() || digits.find('(') != std::string::npos) {
    return std::nullopt;
  }
  return value;
}

std::optional<double> as_float(const Value& value) {
  return value.is_string() ? read_float(value.text()) : value.as_number();
}

Value whole_number(double number) {
  if (!(std::abs(number) < 9.2e18)) {
    fault("cannot convert the number {} to an integer", number);
  }
  return Value(static_cast<int64_t>(number));
}

Value filter_int(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("int", arguments, {"default", "base"});
  require_defined(input);
  const Value fallback = bound.find(0) != nullptr ? *bound.find(0) : Value(0);
  if (input.is_string()) {
    if (const auto integer = read_integer(input.text(), bound.integer(1, 10))) {
      return Value(*integer);
    }
  }
  if (const auto integer = input.as_integer()) {
    return Value(*integer);
  }
  const auto number = as_float(input);
  if (!number || std::isnan(*number)) {
    return fallback;
  }
  return whole_number(*number);
}

Value filter_float(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("float", arguments, {"default"});
  require_defined(input);
  if (const auto number = as_float(input)) {
    return Value(*number);
  }
  return bound.find(0) != nullptr ? *bound.find(0) : Value(0.0);
}

Value filter_abs(Runtime&, const Value& input, const Arguments& arguments) {
  Bound("abs", arguments, {});
  const Value positive = apply_sign(UnaryOp::kPlus, input);
  return *positive.as_number() < 0 ? apply_sign(UnaryOp::kMinus, positive) : positive;
}

// round() as Python does it: the decimal digits of the exact value, halves to even.
double round_to(double number, int64_t digits) {
  if (!std::isfinite(number)) {
    return number;
  }
  if (digits >= 0) {
    return std::strtod(fmt::format("{:.{}f}", number, static_cast<int>(digits)).c_str(), nullptr);
  }
  const double unit = std::pow(10.0, static_cast<double>(-digits));
  return std::nearbyint(number / unit) * unit;
}

// The multiple of a power of ten nearest to an integer, halves to even.
int64_t round_integer(int64_t number, int64_t zeros) {
  constexpr int64_t kMostZeros = 18;  // of an int64_t
  if (zeros > kMostZeros) {
    return 0;
  }
  int64_t unit = 1;
  for (int64_t i = 0; i < zeros; ++i) {
    unit *= 10;
  }
  const int64_t rest = number % unit;
  const int64_t down = number - rest;
  const int64_t size = rest < 0 ? -rest : rest;
  const bool away = size > unit - size || (size == unit - size && down / unit % 2 != 0);
  int64_t result = down;
  if (away && __builtin_add_overflow(down, rest < 0 ? -unit : unit, &result)) {
    too_large("an integer does not fit in 64 bits");
  }
  return result;
}

Value filter_round(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("round", arguments, {"precision", "method"});
  const int64_t digits = bound.integer(0, 0);
  const std::string method = bound.text(1) != nullptr ? *bound.text(1) : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    fault("the method of 'round' must be common, ceil or floor, not '{}'", method);
  }
  if (digits > kMaxRoundDigits || digits < -kMaxRoundDigits) {
    too_large("'round' to {} digits is over the limit of {}", digits, kMaxRoundDigits);
  }
  const auto number = input.as_number();
  if (!number) {
    require_defined(input);
    fault("'round' needs a number, not '{}'", type_name(input));
  }
  if (method == "common") {
    return input.as_integer()
               ? Value(round_integer(*input.as_integer(), std::max<int64_t>(-digits, 0)))
               : Value(round_to(*number, digits));
  }
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const double scaled = *number * scale;
  return Value((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value filter_sum(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("sum", arguments, {"attribute", "start"});
  const bool by_attribute = bound.find(0) != nullptr && !bound.find(0)->is_none();
  Value total = bound.find(1) != nullptr ? *bound.find(1) : Value(0);
  for (const Value& item : iterate(runtime.budget(), input)) {
    total = apply_binary(runtime, BinaryOp::kAdd, total,
                         by_attribute ? path_of(runtime, item, *bound.find(0)) : item);
  }
  return total;
}

template <bool kLargest>
Value filter_extreme(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound(kLargest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
  const bool by_attribute = bound.find(1) != nullptr && !bound.find(1)->is_none();
  const bool exact = bound.flag(0, false);
  std::optional<Value> best;
  Value best_key;
  for (const Value& item : iterate(runtime.budget(), input)) {
    Value key = by_attribute ? path_of(runtime, item, *bound.find(1)) : item;
    if (!exact && key.is_string()) {
      key = make_string(runtime.budget(), to_lower(key.text()));
    }
    if (!best || (kLargest ? less_than(runtime.budget(), best_key, key)
                           : less_than(runtime.budget(), key, best_key))) {
      best = item;
      best_key = key;
    }
  }
  return best ? *best : make_undefined("No aggregated item, sequence was empty.");
}

constexpr NamedFilter kFilters[] = {
    {"abs", filter_abs},           {"float", filter_float},        {"int", filter_int},
    {"max", filter_extreme<true>}, {"min", filter_extreme<false>}, {"round", filter_round},
    {"sum", filter_sum},
};

}  // namespace

Filter find_number_filter(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                   [&](const NamedFilter& entry) { return entry.name == name; });
  return found == std::end(kFilters) ? nullptr : found->filter;
}

}  // namespace mm::jinja
