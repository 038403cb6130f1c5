#include "text/grammar/json_numbers.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>

#include "tests/text/grammar/matching.h"

namespace mm::grammar {
namespace {

testing::Reader reader_of(Expression e) {
  return testing::Reader({{{"root", std::move(e)}}, 0}, testing::all_bytes());
}

RC_GTEST_PROP(JsonNumbers, IntegersBetweenAnyBounds, ()) {
  const auto any = [] {
    const int64_t limit = *rc::gen::elementOf(std::vector<int64_t>{20, 1000, 123456, kMaxInteger});
    return *rc::gen::resize(100, rc::gen::inRange<int64_t>(-limit, limit + 1));
  };
  const int64_t a = any();
  const int64_t b = any();
  const int64_t min = std::min(a, b);
  const int64_t max = std::max(a, b);
  testing::Reader reader = reader_of(integers(min, max));
  const int64_t other = any();
  for (const int64_t x :
       {min, max, min - 1, max + 1, other, -other, int64_t{0}, min / 2 + max / 2}) {
    RC_ASSERT(reader.matches(fmt::format("{}", x)) == (min <= x && x <= max));
  }
  RC_ASSERT(!reader.matches("00"));
  RC_ASSERT(!reader.matches("-0"));
  RC_ASSERT(!reader.matches(fmt::format("0{}", max)));
}

TEST(JsonNumbers, AllIntegersOfUpToThreeDigits) {
  for (const auto& [min, max] : {std::pair{0, 0}, {-7, 12}, {5, 105}, {-999, -10}, {99, 100}}) {
    testing::Reader reader = reader_of(integers(min, max));
    for (int x = -1200; x <= 1200; ++x) {
      ASSERT_EQ(reader.matches(fmt::format("{}", x)), min <= x && x <= max) << x;
    }
  }
}

/// All decimals with three digits behind the point, against the bounds.
TEST(JsonNumbers, DecimalsBetweenBounds) {
  struct Case {
    std::optional<double> min, max;
    bool min_is_exclusive = false;
    bool max_is_exclusive = false;
  };
  const std::vector<Case> cases = {{0, 1},
                                   {-1.5, 2.25},
                                   {0, {}, true},
                                   {{}, -0.125},
                                   {0.1, 0.11},
                                   {-3, -2, true, true},
                                   {1, 1},
                                   {0.999, 1, false, true},
                                   {{}, 0, false, true},
                                   {-0.5, 0.5, true}};
  for (const Case& c : cases) {
    const auto bound = [](std::optional<double> value, bool is_exclusive) {
      return value ? make_bound(*value, is_exclusive) : std::nullopt;
    };
    testing::Reader reader =
        reader_of(numbers(bound(c.min, c.min_is_exclusive), bound(c.max, c.max_is_exclusive)));
    for (int n = -4000; n <= 4000; ++n) {
      const std::string text =
          fmt::format("{}{}.{:03}", n < 0 ? "-" : "", std::abs(n) / 1000, std::abs(n) % 1000);
      const double x = std::strtod(text.c_str(), nullptr);
      const bool inside = (!c.min || (c.min_is_exclusive ? x > *c.min : x >= *c.min)) &&
                          (!c.max || (c.max_is_exclusive ? x < *c.max : x <= *c.max));
      ASSERT_EQ(reader.matches(text), inside) << text;
      if (n % 1000 == 0) {
        ASSERT_EQ(reader.matches(fmt::format("{}", n / 1000)), inside) << text;
      }
    }
  }
}

TEST(JsonNumbers, AReaderCannotRoundOverABound) {
  testing::Reader below = reader_of(numbers(std::nullopt, make_bound(1, true)));
  EXPECT_TRUE(below.matches("0.999999"));
  EXPECT_FALSE(below.matches("0.99999999999999999999"));  // is 1 as a double
}

TEST(JsonNumbers, BoundsAreExact) {
  const auto bound = make_bound(0.1, false);
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->scaled, 1);
  EXPECT_EQ(bound->digits, 1);
  EXPECT_EQ(make_bound(-2500, false)->scaled, -2500);
  EXPECT_FALSE(make_bound(1e15, false));
  EXPECT_FALSE(make_bound(1.0 / 3, false));
}

TEST(JsonNumbers, AnyNumber) {
  testing::Reader reader = reader_of(any_number());
  for (const char* text : {"0", "-0", "12", "1.50", "1e5", "1E-05", "-0.1e+9"}) {
    EXPECT_TRUE(reader.matches(text)) << text;
  }
  for (const char* text : {"", "-", "01", "1.", ".5", "1e", "+1", "1e100", "0x1"}) {
    EXPECT_FALSE(reader.matches(text)) << text;
  }
}

}  // namespace
}  // namespace mm::grammar
