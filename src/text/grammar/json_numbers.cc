#include "text/grammar/json_numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/check.h"

namespace mm::grammar {
namespace {

Expression digit(char first, char last) {
  return chars({{static_cast<char32_t>(first), static_cast<char32_t>(last)}});
}

Expression digits(int min, int max) {
  return repeat(digit('0', '9'), min, max);
}

bool all_are(std::string_view text, char c) {
  return text.find_first_not_of(c) == std::string_view::npos;
}

/// Texts of as many digits as `low` and `high`, between them. The first digit decides: on the edges
/// the others are bounded on one side, in between they are free.
Expression fixed_digits(std::string_view low, std::string_view high) {
  const size_t count = low.size();
  if (count == 0) {
    return bytes("");
  }
  const int rest = static_cast<int>(count) - 1;
  if (all_are(low, '0') && all_are(high, '9')) {
    return digits(static_cast<int>(count), static_cast<int>(count));
  }
  if (low[0] == high[0]) {
    return sequence({digit(low[0], low[0]), fixed_digits(low.substr(1), high.substr(1))});
  }
  const std::string nines(count - 1, '9');
  const std::string zeros(count - 1, '0');
  std::vector<Expression> parts;
  parts.push_back(sequence({digit(low[0], low[0]), fixed_digits(low.substr(1), nines)}));
  if (high[0] - low[0] > 1) {
    parts.push_back(sequence({digit(static_cast<char>(low[0] + 1), static_cast<char>(high[0] - 1)),
                              digits(rest, rest)}));
  }
  parts.push_back(sequence({digit(high[0], high[0]), fixed_digits(zeros, high.substr(1))}));
  return choice(std::move(parts));
}

/// Texts of at least `min` digits and at most as many as `low` and `high`, that lie between them
/// once zeros fill what is missing at the end.
Expression fraction_digits(std::string_view low, std::string_view high, int min) {
  const int count = static_cast<int>(low.size());
  if (all_are(low, '0') && all_are(high, '9')) {
    return digits(min, count);
  }
  std::vector<Expression> parts;
  if (min == 0 && all_are(low, '0')) {
    parts.push_back(bytes(""));
  }
  if (count > 0 && low[0] == high[0]) {
    parts.push_back(
        sequence({digit(low[0], low[0]), fraction_digits(low.substr(1), high.substr(1), 0)}));
  } else if (count > 0) {
    const std::string nines(low.size() - 1, '9');
    const std::string zeros(low.size() - 1, '0');
    parts.push_back(sequence({digit(low[0], low[0]), fraction_digits(low.substr(1), nines, 0)}));
    if (high[0] - low[0] > 1) {
      parts.push_back(
          sequence({digit(static_cast<char>(low[0] + 1), static_cast<char>(high[0] - 1)),
                    digits(0, count - 1)}));
    }
    parts.push_back(sequence({digit(high[0], high[0]), fraction_digits(zeros, high.substr(1), 0)}));
  }
  return choice(std::move(parts));
}

Expression natural_numbers(int64_t min, int64_t max) {
  std::vector<Expression> parts;
  for (int64_t least = 0, most = 9; min <= max && least <= max; least = most + 1) {
    if (least > 0) {
      most = most * 10 + 9;  // the next number of digits
    }
    const int64_t low = std::max(min, least);
    const int64_t high = std::min(max, most);
    if (low <= high) {
      parts.push_back(fixed_digits(fmt::format("{}", low), fmt::format("{}", high)));
    }
  }
  return choice(std::move(parts));
}

int64_t power_of_ten(int exponent) {
  int64_t power = 1;
  for (int i = 0; i < exponent; ++i) {
    power *= 10;
  }
  return power;
}

/// Numbers from low / 10^places to high / 10^places, both at least 0.
Expression decimals(int64_t low, int64_t high, int places) {
  if (low > high) {
    return choice({});
  }
  const int64_t unit = power_of_ten(places);
  const int64_t first = low / unit;
  const int64_t last = high / unit;
  const std::string low_part = places > 0 ? fmt::format("{:0{}}", low % unit, places) : "";
  const std::string high_part = places > 0 ? fmt::format("{:0{}}", high % unit, places) : "";
  const std::string zeros(static_cast<size_t>(places), '0');
  const std::string nines(static_cast<size_t>(places), '9');
  const auto whole_with = [&](int64_t whole, const std::string& from, const std::string& to) {
    std::vector<Expression> tails;
    if (all_are(from, '0')) {
      tails.push_back(bytes(""));
    }
    if (places > 0) {
      tails.push_back(sequence({bytes("."), fraction_digits(from, to, 1)}));
    }
    return sequence({bytes(fmt::format("{}", whole)), choice(std::move(tails))});
  };
  if (first == last) {
    return whole_with(first, low_part, high_part);
  }
  std::vector<Expression> parts;
  parts.push_back(whole_with(first, low_part, nines));
  if (last - first > 1) {
    Expression fraction =
        places > 0 ? optional(sequence({bytes("."), digits(1, places)})) : bytes("");
    parts.push_back(sequence({natural_numbers(first + 1, last - 1), std::move(fraction)}));
  }
  parts.push_back(whole_with(last, zeros, high_part));
  return choice(std::move(parts));
}

int whole_digits(const std::optional<Bound>& bound) {
  if (!bound) {
    return 0;
  }
  const int64_t whole = std::abs(bound->scaled / power_of_ten(bound->digits));
  return static_cast<int>(fmt::format("{}", whole).size());
}

/// The first value inside a bound, times 10^places; sign: +1 for a lower bound, -1 for an upper
/// one.
int64_t first_inside(const Bound& bound, int places, int sign) {
  if (bound.digits <= places) {
    const int64_t scaled = bound.scaled * power_of_ten(places - bound.digits);
    return bound.exclusive ? scaled + sign : scaled;
  }
  const int64_t divisor = power_of_ten(bound.digits - places);
  const int64_t scaled = bound.scaled / divisor;  // towards 0
  const int64_t rest = bound.scaled % divisor;    // not 0: a bound has no trailing zeros
  return (rest > 0) == (sign > 0) ? scaled + sign : scaled;
}

}  // namespace

Expression integers(int64_t min, int64_t max) {
  MM_CHECK(min >= -kMaxInteger && max <= kMaxInteger);
  std::vector<Expression> parts;
  if (min < 0 && min <= max) {
    parts.push_back(sequence({bytes("-"), natural_numbers(std::max<int64_t>(1, -max), -min)}));
  }
  if (max >= 0) {
    parts.push_back(natural_numbers(std::max<int64_t>(0, min), max));
  }
  return choice(std::move(parts));
}

Expression any_number() {
  Expression whole = choice({bytes("0"), sequence({digit('1', '9'), digits(0, kMaxDigits - 1)})});
  Expression fraction = optional(sequence({bytes("."), digits(1, 16)}));
  Expression exponent = optional(sequence(
      {chars({{'e', 'e'}, {'E', 'E'}}), optional(chars({{'+', '+'}, {'-', '-'}})), digits(1, 2)}));
  return sequence(
      {optional(bytes("-")), std::move(whole), std::move(fraction), std::move(exponent)});
}

std::optional<Bound> make_bound(double value, bool exclusive) {
  if (!std::isfinite(value)) {
    return std::nullopt;
  }
  for (int places = 0; places <= kMaxDigits; ++places) {
    const double scaled = std::round(value * static_cast<double>(power_of_ten(places)));
    if (std::abs(scaled) > static_cast<double>(kMaxInteger)) {
      return std::nullopt;
    }
    // Of up to 15 digits, the text that a reader turns into this double is the one that was meant.
    const auto integer = static_cast<int64_t>(scaled);
    const std::string text = fmt::format("{}e-{}", integer, places);
    double meant = 0;
    std::from_chars(text.data(), text.data() + text.size(), meant);
    if (meant == value) {
      return Bound{integer, places, exclusive};
    }
  }
  return std::nullopt;
}

Expression numbers(const std::optional<Bound>& min, const std::optional<Bound>& max) {
  // A side without a bound leaves nine digits before the point, and integers beyond them.
  constexpr int kOpenDigits = 9;
  const int whole = std::max({whole_digits(min), whole_digits(max), min && max ? 0 : kOpenDigits});
  const int places = kMaxDigits - whole;
  const int64_t unit = power_of_ten(places);
  const int64_t open_limit = kMaxInteger;  // scaled: nothing but nines
  const int64_t low = min ? first_inside(*min, places, 1) : -open_limit;
  const int64_t high = max ? first_inside(*max, places, -1) : open_limit;
  std::vector<Expression> parts;
  if (low < 0 && low <= high) {
    parts.push_back(sequence({bytes("-"), decimals(std::max<int64_t>(1, -high), -low, places)}));
  }
  if (high >= 0) {
    parts.push_back(decimals(std::max<int64_t>(0, low), high, places));
  }
  if (!max) {
    parts.push_back(natural_numbers(open_limit / unit + 1, kMaxInteger));
  }
  if (!min) {
    parts.push_back(sequence({bytes("-"), natural_numbers(open_limit / unit + 1, kMaxInteger)}));
  }
  return choice(std::move(parts));
}

}  // namespace mm::grammar
