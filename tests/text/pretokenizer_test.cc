#include "text/pretokenizer.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mm {
namespace {

using Words = std::vector<std::string>;

Words split(const PretokenizerConfig& config, std::string_view text) {
  const Pretokenizer pretokenizer(config, "test");
  RegexScratch scratch(text.size());
  Words words;
  pretokenizer.split(text, scratch, [&](const WordBatch& batch) {
    for (const std::string_view word : batch.words) {
      EXPECT_FALSE(word.empty());
      EXPECT_LE(word.data() + word.size(), batch.readable_end);
      words.emplace_back(word);
    }
  });
  return words;
}

Words split_by(const std::string& pattern, SplitBehavior behavior, std::string_view text,
               bool invert = false) {
  PretokenizerConfig config;
  config.splits.push_back({.pattern = pattern, .behavior = behavior, .invert = invert});
  return split(config, text);
}

TEST(Pretokenizer, O200kPattern) {
  const auto words = [](std::string_view text) {
    return split_by(std::string(kO200kPattern), SplitBehavior::kIsolated, text);
  };
  EXPECT_EQ(words(""), Words{});
  EXPECT_EQ(words("Hello, world!"), (Words{"Hello", ",", " world", "!"}));
  EXPECT_EQ(words("they'LL CamelCase"), (Words{"they'LL", " Camel", "Case"}));
  EXPECT_EQ(words("12345  x \n\n y "), (Words{"123", "45", " ", " x", " \n\n", " y", " "}));
}

TEST(Pretokenizer, Behaviors) {
  using enum SplitBehavior;
  EXPECT_EQ(split_by("-", kIsolated, "a--b-"), (Words{"a", "-", "-", "b", "-"}));
  EXPECT_EQ(split_by("-", kRemoved, "a--b-"), (Words{"a", "b"}));
  EXPECT_EQ(split_by("-", kRemoved, "a--b-", true), (Words{"-", "-", "-"}));
  EXPECT_EQ(split_by("-", kMergedWithPrevious, "a--b-"), (Words{"a-", "-", "b-"}));
  EXPECT_EQ(split_by("-", kMergedWithNext, "a--b-"), (Words{"a", "-", "-b", "-"}));
  EXPECT_EQ(split_by("-", kContiguous, "a--b-"), (Words{"a", "--", "b", "-"}));
  EXPECT_EQ(split_by("-", kIsolated, "ab"), (Words{"ab"}));
}

TEST(Pretokenizer, LiteralPatterns) {
  PretokenizerConfig config;
  config.splits.push_back({.pattern = "a.", .syntax = Regex::Syntax::kLiteral});
  EXPECT_EQ(split(config, "aba.c"), (Words{"ab", "a.", "c"}));
}

TEST(Pretokenizer, StagesCutFurtherAndPrefixesGoBetween) {
  PretokenizerConfig config;
  config.splits.push_back({.pattern = "\\d"});
  config.add_prefix_space = true;
  config.use_gpt2_pattern = true;
  EXPECT_EQ(split(config, "one two1 x"), (Words{" one", " two", " 1", " x"}));
  config.use_gpt2_pattern = false;
  EXPECT_EQ(split(config, "one two1 x"), (Words{" one two", " 1", " x"}));
  EXPECT_EQ(split(PretokenizerConfig{}, "one two"), (Words{"one two"}));
}

TEST(Pretokenizer, EmptyMatchesOnlySeparate) {
  EXPECT_EQ(split_by("\\d*", SplitBehavior::kIsolated, "a12b\u00E9"),
            (Words{"a", "12", "b", "\u00E9"}));
}

TEST(Pretokenizer, WhiteSpaceIsUnicodes) {
  // U+180E is no White_Space, U+0085 and U+3000 are.
  EXPECT_EQ(split_by("\\s", SplitBehavior::kRemoved, "a\u180Eb\u0085c\u3000d"),
            (Words{"a\u180Eb", "c", "d"}));
  EXPECT_EQ(split_by("[^\\s]+", SplitBehavior::kIsolated, "a\u180E \u3000"),
            (Words{"a\u180E", " \u3000"}));
  EXPECT_EQ(split_by("\\S", SplitBehavior::kRemoved, "\u180E\u3000"), (Words{"\u3000"}));
  EXPECT_EQ(split_by("[\\S]", SplitBehavior::kRemoved, "\u180E\u3000"), (Words{"\u3000"}));
}

TEST(Pretokenizer, LinesAreAnchored) {
  EXPECT_EQ(split_by("^a|b$", SplitBehavior::kRemoved, "ab\nab"), (Words{"\n"}));
}

/// A pattern that backtracks without end must be reported, never cut the text short.
TEST(Pretokenizer, RunawayPatternIsAnError) {
  const std::string text(64, 'a');
  try {
    split_by("(?:a+)+[bc]", SplitBehavior::kIsolated, text);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kTooLarge);
    EXPECT_NE(std::string(error.what()).find("pattern gives up at byte 0 of a text of 64 bytes"),
              std::string::npos)
        << error.what();
  }
}

/// Deep recursion passes the machine stack's share of the JIT and goes on with a larger one.
TEST(Pretokenizer, DeepPatternsGetMoreStack) {
  const std::string text(200000, 'a');
  EXPECT_EQ(split_by("(?:(a)|(b))+", SplitBehavior::kIsolated, text), (Words{text}));
}

}  // namespace
}  // namespace mm
