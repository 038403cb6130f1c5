/// Random grammars over two letters, against the definition of what a grammar derives.
#include "text/grammar/automaton.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <memory>
#include <set>
#include <string>

#include "base/error.h"
#include "tests/text/grammar/matching.h"

namespace mm::grammar {
namespace {

constexpr size_t kLength = 5;  ///< of the texts that are compared
using Texts = std::set<std::string>;

Texts concatenate(const Texts& left, const Texts& right) {
  Texts result;
  for (const std::string& l : left) {
    for (const std::string& r : right) {
      if (l.size() + r.size() <= kLength) {
        result.insert(l + r);
      }
    }
  }
  return result;
}

/// All texts of up to kLength bytes, if the rules derive at least `known`.
Texts texts_of(const Expression& e, const std::vector<Texts>& known) {
  Texts result;
  switch (e.kind) {
    case Expression::Kind::kBytes:
      return {e.bytes};
    case Expression::Kind::kChars:
      for (const CodeRange& range : e.chars) {
        for (char32_t c = range.first; c <= range.last; ++c) {
          result.insert(std::string(1, static_cast<char>(c)));
        }
      }
      return result;
    case Expression::Kind::kSequence:
      result = {""};
      for (const Expression& part : e.parts) {
        result = concatenate(result, texts_of(part, known));
      }
      return result;
    case Expression::Kind::kChoice:
      for (const Expression& part : e.parts) {
        result.merge(texts_of(part, known));
      }
      return result;
    case Expression::Kind::kRepeat: {
      const Texts part = texts_of(e.parts[0], known);
      Texts times = {""};
      // More than kLength times adds nothing but what empty texts allow anyway.
      const int max = e.max == Expression::kNoLimit ? e.min + static_cast<int>(kLength) : e.max;
      for (int i = 0; i <= max; ++i) {
        if (i >= e.min) {
          result.insert(times.begin(), times.end());
        }
        times = concatenate(times, part);
      }
      return result;
    }
    case Expression::Kind::kRule:
      return known[static_cast<size_t>(e.rule)];
  }
  return result;
}

/// The least sets of texts that the rules allow one another.
Texts texts_of(const RuleSet& rules) {
  std::vector<Texts> known(rules.rules.size());
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < known.size(); ++i) {
      Texts texts = texts_of(rules.rules[i].body, known);
      changed = changed || texts != known[i];
      known[i] = std::move(texts);
    }
  }
  return known[static_cast<size_t>(rules.root)];
}

Expression any_expression(int depth, int rules) {
  switch (*rc::gen::inRange(0, depth == 0 ? 3 : 6)) {
    case 0:
      return bytes(*rc::gen::elementOf(std::vector<std::string>{"", "a", "b", "ab", "ba", "aa"}));
    case 1:
      return call(*rc::gen::inRange(0, rules));
    case 2:
      return chars({{'a', 'b'}});
    case 3:
    case 4: {
      std::vector<Expression> parts;
      const int count = *rc::gen::inRange(1, 4);
      for (int i = 0; i < count; ++i) {
        parts.push_back(any_expression(depth - 1, rules));
      }
      return *rc::gen::inRange(0, 2) == 0 ? sequence(std::move(parts)) : choice(std::move(parts));
    }
    default: {
      const int min = *rc::gen::inRange(0, 3);
      const int max = *rc::gen::elementOf(std::vector<int>{Expression::kNoLimit, min, min + 2});
      return repeat(any_expression(depth - 1, rules), min, max);
    }
  }
}

RuleSet any_rules() {
  RuleSet rules;
  const int count = *rc::gen::inRange(1, 4);
  for (int i = 0; i < count; ++i) {
    rules.rules.push_back({"rule " + std::to_string(i), any_expression(3, count)});
  }
  return rules;
}

/// All texts over two letters of up to `kLength`.
std::vector<std::string> all_texts() {
  std::vector<std::string> texts = {""};
  for (size_t i = 0; texts[i].size() < kLength; ++i) {
    texts.push_back(texts[i] + "a");
    texts.push_back(texts[i] + "b");
  }
  return texts;
}

RC_GTEST_PROP(Automaton, AcceptsWhatTheRulesDerive, ()) {
  const RuleSet rules = any_rules();
  const Texts expected = texts_of(rules);
  std::unique_ptr<testing::Reader> reader;
  try {
    reader = std::make_unique<testing::Reader>(rules, testing::all_bytes());
  } catch (const Error& error) {
    const std::string message = error.what();
    RC_TAG("refused");
    // What is refused is left-recursive, or derives nothing at all.
    if (message.find("derives no text") != std::string::npos) {
      RC_ASSERT(expected.empty());
    } else {
      RC_ASSERT(message.find("begins with itself") != std::string::npos);
    }
    return;
  }
  for (const std::string& text : all_texts()) {
    if (reader->matches(text) != (expected.count(text) > 0)) {
      RC_FAIL("\"" + text + "\"");
    }
    // What begins a text of the grammar is alive.
    for (size_t n = 0; expected.count(text) > 0 && n <= text.size(); ++n) {
      RC_ASSERT(reader->begins(text.substr(0, n)));
    }
  }
}

/// The least number of bytes from every state to the end of its rule.
std::vector<int64_t> distances(const Automaton& automaton) {
  constexpr int64_t kFar = int64_t{1} << 40;
  std::vector<int64_t> least(static_cast<size_t>(automaton.size()), kFar);
  for (bool changed = true; changed;) {
    changed = false;
    for (int32_t state = 0; state < automaton.size(); ++state) {
      int64_t best = automaton.accepts(state) ? 0 : kFar;
      for (const ByteEdge& edge : automaton.byte_edges(state)) {
        best = std::min(best, 1 + least[static_cast<size_t>(edge.to)]);
      }
      for (const CallEdge& call : automaton.call_edges(state)) {
        best = std::min(best, least[static_cast<size_t>(automaton.start(call.rule))] +
                                  least[static_cast<size_t>(call.to)]);
      }
      if (best < least[static_cast<size_t>(state)]) {
        least[static_cast<size_t>(state)] = best;
        changed = true;
      }
    }
  }
  return least;
}

/// The least number of bytes from a set of stacks to the end.
int64_t distance(StackSets& sets, const std::vector<int64_t>& least, int32_t set) {
  if (sets.may_end(set)) {
    return 0;
  }
  int64_t best = int64_t{1} << 40;
  for (const Frame& frame : sets.frames(set)) {
    best = std::min(best,
                    least[static_cast<size_t>(frame.state)] + distance(sets, least, frame.callers));
  }
  return best;
}

/// From every place that can be reached, a byte leads one nearer to the end.
RC_GTEST_PROP(Automaton, NeverLeadsIntoADeadEnd, ()) {
  const RuleSet rules = any_rules();
  std::unique_ptr<Automaton> automaton;
  try {
    automaton = std::make_unique<Automaton>(rules, testing::all_bytes());
  } catch (const Error&) {
    return;
  }
  const std::vector<int64_t> least = distances(*automaton);
  StackSets sets(*automaton);
  std::vector<int32_t> places = {sets.start()};
  std::set<int32_t> seen = {places[0]};
  for (size_t i = 0; i < places.size(); ++i) {
    const int64_t here = distance(sets, least, places[i]);
    bool nearer = here == 0;
    for (const char byte : {'a', 'b'}) {
      const int32_t next = sets.next(places[i], static_cast<uint8_t>(byte));
      if (next != StackSets::kDead) {
        nearer = nearer || distance(sets, least, next) == here - 1;
        if (seen.size() < 100 && seen.insert(next).second) {
          places.push_back(next);
        }
      }
    }
    RC_ASSERT(nearer);
  }
}

TEST(Automaton, BytesThatCannotBeWrittenAreAvoided) {
  ByteSet usable = testing::all_bytes();
  usable.reset('b');
  const Expression either = choice({bytes("abc"), bytes("ac"), bytes("b")});
  testing::Reader reader({{{"root", either}}, 0}, usable);
  EXPECT_TRUE(reader.matches("ac"));
  EXPECT_FALSE(reader.begins("ab"));
  EXPECT_FALSE(reader.begins("b"));
  EXPECT_THROW(Automaton({{{"root", bytes("ab")}}, 0}, usable), Error);
}

/// Readings that differ in their depth all the way down.
TEST(Automaton, ReadingsOfDifferentDepthAreKept) {
  const Expression one = sequence({bytes("("), call(0), bytes(")")});
  const Expression two = sequence({bytes("(("), call(0), bytes(")")});
  const Automaton automaton({{{"root", choice({one, two, bytes("x")})}}, 0}, testing::all_bytes());
  StackSets sets(automaton);
  int32_t place = sets.start();
  for (int i = 0; i < 300; ++i) {
    place = sets.next(place, '(');
  }
  place = sets.next(place, 'x');
  for (int i = 0; i < 150; ++i) {
    EXPECT_FALSE(sets.may_end(place));
    place = sets.next(place, ')');
  }
  EXPECT_TRUE(sets.may_end(place));  // all openings by twos
  for (int i = 0; i < 150; ++i) {
    place = sets.next(place, ')');
  }
  EXPECT_EQ(place, sets.end());
}

TEST(Automaton, ListsDoNotGrowTheStack) {
  const Expression rest = choice({bytes(""), sequence({bytes("a"), call(0)})});
  const Automaton automaton({{{"root", rest}}, 0}, testing::all_bytes());
  StackSets sets(automaton);
  int32_t place = sets.start();
  for (int i = 0; i < 10; ++i) {
    place = sets.next(place, 'a');
  }
  const int32_t size = sets.size();
  for (int i = 0; i < 1000; ++i) {
    place = sets.next(place, 'a');
  }
  EXPECT_EQ(sets.size(), size);
}

TEST(Automaton, CompactingForgetsNothingOfThePlace) {
  const Expression nested = choice({bytes("x"), sequence({bytes("("), call(0), bytes(")")})});
  const Automaton automaton({{{"root", nested}}, 0}, testing::all_bytes());
  StackSets sets(automaton);
  int32_t place = sets.start();
  for (int i = 0; i < 100; ++i) {
    place = sets.next(place, '(');
  }
  place = sets.compact(place);
  place = sets.next(place, 'x');
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(sets.may_end(place));
    place = sets.next(place, ')');
  }
  EXPECT_EQ(place, sets.end());
}

}  // namespace
}  // namespace mm::grammar
