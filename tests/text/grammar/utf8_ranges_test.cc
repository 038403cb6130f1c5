#include "text/grammar/utf8_ranges.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

#include "text/utf8.h"

namespace mm::grammar {
namespace {

int matching_sequences(const std::vector<std::vector<ByteRange>>& sequences,
                       const std::string& text) {
  int count = 0;
  for (const auto& sequence : sequences) {
    bool matches = sequence.size() == text.size();
    for (size_t i = 0; matches && i < text.size(); ++i) {
      const auto byte = static_cast<uint8_t>(text[i]);
      matches = sequence[i].first <= byte && byte <= sequence[i].last;
    }
    count += matches ? 1 : 0;
  }
  return count;
}

bool is_surrogate(char32_t c) {
  return c >= 0xD800 && c <= 0xDFFF;
}

/// Checks that exactly the characters of the range match, each by one sequence.
void check_range(char32_t first, char32_t last, char32_t step) {
  const auto sequences = utf8_sequences({first, last});
  for (char32_t c = 0; c <= kLastCodePoint; c += step) {
    const std::array<char32_t, 6> near = {c,
                                          first,
                                          last,
                                          static_cast<char32_t>(first + 1),
                                          static_cast<char32_t>(last + 1),
                                          static_cast<char32_t>(first - 1)};
    for (const char32_t at : near) {
      if (at > kLastCodePoint || is_surrogate(at)) {
        continue;
      }
      std::string text;
      utf8::append(at, text);
      ASSERT_EQ(matching_sequences(sequences, text), at >= first && at <= last ? 1 : 0)
          << uint32_t{first} << " to " << uint32_t{last} << ": " << uint32_t{at};
    }
  }
}

TEST(Utf8Ranges, AllCharactersAreTheWellFormedSequences) {
  const auto sequences = utf8_sequences({0, kLastCodePoint});
  int64_t texts = 0;
  for (const auto& sequence : sequences) {
    int64_t product = 1;
    for (const ByteRange& range : sequence) {
      product *= range.last - range.first + 1;
    }
    texts += product;
  }
  EXPECT_EQ(texts, 0x110000 - 0x800);
  EXPECT_LE(sequences.size(), 9u);  // as many as table 3-7 of Unicode has rows
  EXPECT_EQ(matching_sequences(sequences, "\xED\xA0\x80"), 0);  // a surrogate
  EXPECT_EQ(matching_sequences(sequences, "\xC0\x80"), 0);      // overlong
}

TEST(Utf8Ranges, SurrogatesAloneAreNothing) {
  EXPECT_TRUE(utf8_sequences({0xD800, 0xDFFF}).empty());
  EXPECT_TRUE(utf8_sequences({5, 4}).empty());
}

RC_GTEST_PROP(Utf8Ranges, AnyRange, ()) {
  const auto limits = {0x40u, 0x80u, 0x800u, 0x3000u, 0x10000u, 0x110000u};
  const auto pick = [&] {
    const uint32_t limit = *rc::gen::elementOf(std::vector<uint32_t>(limits));
    return static_cast<char32_t>(*rc::gen::inRange<uint32_t>(0, limit));
  };
  const char32_t a = pick();
  const char32_t b = pick();
  check_range(std::min(a, b), std::max(a, b), 977);
}

}  // namespace
}  // namespace mm::grammar
