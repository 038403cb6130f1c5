#include "text/grammar.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "tests/text/grammar/matching.h"

namespace mm {
namespace {

using testing::make_trie;
using testing::Merges;

std::vector<uint64_t> words_for(const TokenTrie& trie) {
  return std::vector<uint64_t>((static_cast<size_t>(trie.vocab_size()) + 63) / 64, ~uint64_t{0});
}

std::vector<int32_t> allowed_ids(GrammarState& state, const TokenTrie& trie) {
  std::vector<uint64_t> words = words_for(trie);
  state.find_allowed(words);
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < trie.vocab_size(); ++id) {
    if ((words[static_cast<size_t>(id) / 64] >> (id % 64) & 1) != 0) {
      ids.push_back(id);
    }
  }
  return ids;
}

/// Ids of tokens by their text.
std::vector<std::string> allowed_texts(GrammarState& state, const TokenTrie& trie) {
  std::vector<std::string> texts;
  for (const int32_t id : allowed_ids(state, trie)) {
    texts.emplace_back(trie.text(id));
  }
  return texts;
}

void accept_text(GrammarState& state, std::string_view text) {
  for (const char byte : text) {
    state.accept(static_cast<uint8_t>(byte));  // ids of bytes in the tiny vocabulary
  }
}

const Merges kMerges = {{"a", "b"}, {"\"", ","}, {"\",", "\""},    {"(", "("},
                        {")", ")"}, {"))", ")"}, {"a", "\""},      {"ab", "ab"},
                        {",", "a"}, {"1", "2"},  {"\xC3", "\xA9"}, {"\xA9", "a"}};

constexpr std::string_view kNested = R"g(
  root ::= "(" item ("," item)* ")"
  item ::= root | [0-9]+ | string
  string ::= "\"" [^"]* "\"")g";

TEST(Grammar, TokensThatCrossRules) {
  const auto trie = make_trie(kMerges);
  GrammarState state(Grammar::from_text(kNested, trie));
  EXPECT_EQ(allowed_texts(state, *trie), (std::vector<std::string>{"(", "(("}));
  accept_text(state, "(\"");
  std::vector<std::string> texts = allowed_texts(state, *trie);
  // Inside the string, out of it, and out of it and into the next.
  for (const char* text : {"ab", "abab", "a\"", "\"", "\",", "\",\"", "))", ",a", "\xC3\xA9"}) {
    EXPECT_EQ(std::count(texts.begin(), texts.end(), text), 1) << text;
  }
  EXPECT_EQ(std::count(texts.begin(), texts.end(),
                       "\xA9"
                       "a"),
            0);
  accept_text(state, "x\"");
  EXPECT_EQ(allowed_texts(state, *trie), (std::vector<std::string>{")", ","}));
}

TEST(Grammar, CharactersMayBeCut) {
  const auto trie = make_trie(kMerges);
  GrammarState state(Grammar::from_text("root ::= [é] \"a\"", trie));
  EXPECT_EQ(allowed_texts(state, *trie), (std::vector<std::string>{"\xC3", "\xC3\xA9"}));
  state.accept(0xC3);
  EXPECT_EQ(allowed_texts(state, *trie), (std::vector<std::string>{"\xA9",
                                                                   "\xA9"
                                                                   "a"}));
}

TEST(Grammar, EndsWhereItMay) {
  const auto trie = make_trie();
  GrammarState state(Grammar::from_text(R"(root ::= "a" "b"?)", trie));
  EXPECT_FALSE(state.may_end());
  state.accept('a');
  EXPECT_TRUE(state.may_end());
  EXPECT_FALSE(state.must_end());
  state.accept('b');
  EXPECT_TRUE(state.must_end());
  EXPECT_TRUE(allowed_ids(state, *trie).empty());
  GrammarState empty(Grammar::from_text(R"(root ::= "")", trie));
  EXPECT_TRUE(empty.must_end());
}

TEST(Grammar, ATokenThatDoesNotFollowIsRefused) {
  const auto trie = make_trie();
  GrammarState state(Grammar::from_text(R"(root ::= "ab")", trie));
  EXPECT_THROW(state.accept('b'), Error);
  EXPECT_THROW(state.accept(-1), Error);
  EXPECT_THROW(state.accept(100'000), Error);
  state.accept('a');
  state.accept('b');
  EXPECT_TRUE(state.must_end());
}

TEST(Grammar, MarkersAndExcludedTokensNeverFollow) {
  const auto merges = static_cast<int32_t>(kMerges.size());
  Json json = testing::tiny_tokenizer(kMerges);
  Json marker = testing::added_token(256 + merges, "<ab>");
  marker["special"] = true;
  json["added_tokens"].push_back(marker);
  const Tokenizer tokenizer = Tokenizer::from_json(json.dump(), "", "tiny");
  const std::vector<int32_t> excluded = {256, 'z'};  // "ab" and a byte
  const auto trie = std::make_shared<const TokenTrie>(tokenizer, excluded);
  GrammarState state(Grammar::from_text(R"(root ::= "abc" | "<ab>" | "xyz")", trie));
  // The byte "z" cannot be written, so "xyz" cannot be finished.
  EXPECT_EQ(allowed_ids(state, *trie), (std::vector<int32_t>{'<', 'a'}));
}

/// At every place of random walks, the mask has exactly the tokens whose bytes can be read.
TEST(Grammar, MasksAreExact) {
  const auto trie = make_trie(kMerges);
  const std::vector<std::string> grammars = {std::string(kNested), R"(root ::= [ab,"]*)",
                                             R"g(root ::= ("a" | "ab" | "abab" "(" root ")")*)g",
                                             R"(root ::= word ("," word)*
         word ::= "a" tail?
         tail ::= "b" word | "\"" | [é] tail)"};
  for (const std::string& text : grammars) {
    const auto grammar = Grammar::from_text(text, trie);
    std::mt19937 random(7);
    for (int walk = 0; walk < 20; ++walk) {
      GrammarState state(grammar);
      grammar::StackSets bytewise(grammar->automaton());
      int32_t place = bytewise.start();
      for (int step = 0; step < 40; ++step) {
        const auto after = [&](int32_t id) {
          int32_t at = place;
          for (const char byte : trie->text(id)) {
            at = bytewise.next(at, static_cast<uint8_t>(byte));
          }
          return at;
        };
        std::vector<int32_t> expected;
        for (int32_t id = 0; id < trie->vocab_size(); ++id) {
          if (after(id) != grammar::StackSets::kDead) {
            expected.push_back(id);
          }
        }
        ASSERT_EQ(allowed_ids(state, *trie), expected) << text;
        ASSERT_EQ(state.may_end(), bytewise.may_end(place));
        if (expected.empty()) {
          ASSERT_TRUE(state.must_end());
          break;
        }
        const int32_t id = expected[random() % expected.size()];
        state.accept(id);
        place = after(id);
      }
    }
  }
}

}  // namespace
}  // namespace mm
