#include "text/stop.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/error.h"

namespace mm {
namespace {

struct Outcome {
  std::string text;
  std::optional<size_t> stop;
  bool operator==(const Outcome&) const = default;
};

/// Feeds `text` in pieces of `step` bytes and gathers all that comes out.
Outcome run(const std::vector<std::string>& stops, const std::string& text, size_t step) {
  StopMatcher matcher(stops);
  Outcome outcome;
  for (size_t at = 0; at < text.size() && !outcome.stop; at += step) {
    StopResult result = matcher.push(std::string_view(text).substr(at, step));
    outcome.text += result.text;
    outcome.stop = result.stop;
  }
  outcome.text += matcher.flush();
  return outcome;
}

/// The rule of the header in plain loops.
Outcome expected(const std::vector<std::string>& stops, const std::string& text) {
  for (size_t end = 1; end <= text.size(); ++end) {
    std::optional<size_t> hit;
    for (size_t i = 0; i < stops.size(); ++i) {
      if (!std::string_view(text).substr(0, end).ends_with(stops[i]))
        continue;
      if (!hit || stops[i].size() > stops[*hit].size())
        hit = i;
    }
    if (hit)
      return {text.substr(0, end - stops[*hit].size()), hit};
  }
  return {text, std::nullopt};
}

TEST(StopMatcher, ReleasesEverythingWithoutStops) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.push("abc").text, "abc");
  EXPECT_EQ(matcher.flush(), "");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcher, HoldsBackOnlyWhatMayBeginAStop) {
  StopMatcher matcher({"\n\nUser:"});
  EXPECT_EQ(matcher.push("one\n").text, "one");
  EXPECT_EQ(matcher.push("\nU").text, "");
  EXPECT_EQ(matcher.push("nless").text, "\n\nUnless");
  EXPECT_EQ(matcher.push("\n").text, "");
  EXPECT_EQ(matcher.flush(), "\n");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcher, CutsAtTheStopAndDropsTheRest) {
  StopMatcher matcher({"END", "STOP"});
  EXPECT_EQ(matcher.push("go ST").text, "go ");
  const StopResult result = matcher.push("OP and END");
  EXPECT_EQ(result.text, "");
  EXPECT_EQ(result.stop, 1u);
  EXPECT_EQ(matcher.push("more").text, "");
  EXPECT_EQ(matcher.flush(), "");
  EXPECT_EQ(matcher.stopped(), 1u);
}

TEST(StopMatcher, FirstCompletedStopWins) {
  EXPECT_EQ(run({"abcd", "bc"}, "xabcd", 1), (Outcome{"xa", 1}));
  EXPECT_EQ(run({"bc", "abc"}, "xabc", 2), (Outcome{"x", 1}));
  EXPECT_EQ(run({"aa", "aa"}, "aaa", 1), (Outcome{"", 0}));
}

TEST(StopMatcher, OverlappingBeginnings) {
  EXPECT_EQ(run({"aab"}, "aaab", 1), (Outcome{"a", 0}));
  EXPECT_EQ(run({"abababc"}, "ababababc", 3), (Outcome{"ab", 0}));
}

TEST(StopMatcher, RefusesWhatCanNeverWork) {
  EXPECT_THROW(StopMatcher({"a", ""}), Error);
  EXPECT_THROW(StopMatcher({"\xFF"}), Error);
}

TEST(StopMatcher, SameAnswerHoweverTheTextIsCut) {
  EXPECT_TRUE(rc::check([] {
    const auto word =
        rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::element('a', 'b')));
    const auto stops = *rc::gen::resize(5, rc::gen::container<std::vector<std::string>>(word));
    const auto text = *rc::gen::container<std::string>(rc::gen::element('a', 'b', 'c'));
    const auto step = *rc::gen::inRange<size_t>(1, 7);
    RC_ASSERT(run(stops, text, step) == expected(stops, text));
  }));
}

}  // namespace
}  // namespace mm
