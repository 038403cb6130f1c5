#include "load/words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "base/error.h"

namespace mm {
namespace {

using testing::Contains;
using testing::Not;

/// Counts words as a tokenizer would for which some are two tokens; `added` come on top.
struct FakeCounter {
  std::set<std::string> pairs;
  int64_t added = 0;
  int calls = 0;

  int64_t operator()(const std::string& text) {
    ++calls;
    std::istringstream words(text);
    int64_t tokens = added;
    for (std::string word; words >> word;) {
      tokens += pairs.count(word) > 0 ? 2 : 1;
    }
    return tokens;
  }
};

TEST(Words, AreDifferent) {
  const auto words = common_words();
  EXPECT_EQ(std::set<std::string_view>(words.begin(), words.end()).size(), words.size());
}

TEST(Words, WhenAllAreOneTokenItIsEnoughToAskTwice) {
  FakeCounter counter{.pairs = {}, .added = 3};
  const Words words = choose_words(counter);
  EXPECT_TRUE(words.counted);
  EXPECT_EQ(words.words.size(), common_words().size());
  EXPECT_EQ(counter.calls, 2);
}

TEST(Words, ThoseOfSeveralTokensAreLeftOut) {
  FakeCounter counter{.pairs = {"about", "young", "sea", "second"}, .added = 1};
  const Words words = choose_words(counter);
  EXPECT_TRUE(words.counted);
  EXPECT_EQ(words.words.size(), common_words().size() - counter.pairs.size());
  for (const std::string& word : counter.pairs) {
    EXPECT_THAT(words.words, Not(Contains(word)));
  }
}

TEST(Words, WhereAlmostNoneIsOneTokenTheyAreAssumed) {
  const Words words =
      choose_words([](const std::string& text) { return static_cast<int64_t>(text.size()); });
  EXPECT_FALSE(words.counted);
  EXPECT_EQ(words.words.size(), common_words().size());
}

}  // namespace
}  // namespace mm
