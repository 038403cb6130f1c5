#include "text/added_tokens.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace mm {
namespace {

using Special = AddedTokenFinder::Special;

/// The parts as "text" or "<id:text>".
std::string parts_of(const AddedTokenFinder& finder, std::string_view text,
                     Special special = Special::kParse) {
  std::string out;
  finder.split(text, special, [&](const TextPart& part) {
    out += part.id < 0 ? "[" + std::string(part.text) + "]"
                       : "<" + std::to_string(part.id) + ":" + std::string(part.text) + ">";
  });
  return out;
}

TEST(AddedTokens, LongestOfThoseThatBeginFirst) {
  const AddedTokenFinder finder({{.id = 1, .content = "<a"},
                                 {.id = 2, .content = "<a>"},
                                 {.id = 3, .content = "<ab"},
                                 {.id = 4, .content = "b>"}});
  EXPECT_EQ(parts_of(finder, "x<a>y"), "[x]<2:<a>>[y]");
  EXPECT_EQ(parts_of(finder, "<ab>"), "<3:<ab>[>]");
  EXPECT_EQ(parts_of(finder, "<a<"), "<1:<a>[<]");
  EXPECT_EQ(parts_of(finder, "<"), "[<]");
  EXPECT_EQ(parts_of(finder, ""), "");
}

TEST(AddedTokens, StripsWhiteSpace) {
  const AddedTokenFinder finder(
      {{.id = 1, .content = "<l>", .lstrip = true}, {.id = 2, .content = "<r>", .rstrip = true}});
  EXPECT_EQ(parts_of(finder, "a \u3000<l> b"), "[a]<1: \u3000<l>>[ b]");
  EXPECT_EQ(parts_of(finder, "a <r>\n\u00A0b"), "[a ]<2:<r>\n\u00A0>[b]");
  // The first takes the space between them.
  EXPECT_EQ(parts_of(finder, "<r> <l>"), "<2:<r> ><1:<l>>");
  EXPECT_EQ(parts_of(finder, "  <l>"), "<1:  <l>>");
}

TEST(AddedTokens, SingleWords) {
  const AddedTokenFinder finder({{.id = 1, .content = "word", .single_word = true}});
  EXPECT_EQ(parts_of(finder, "word"), "<1:word>");
  EXPECT_EQ(parts_of(finder, "a word."), "[a ]<1:word>[.]");
  EXPECT_EQ(parts_of(finder, "words, sword, \u00E9word, word_"),
            "[words, sword, \u00E9word, word_]");
}

TEST(AddedTokens, SpecialAsText) {
  const AddedTokenFinder finder(
      {{.id = 1, .content = "<s>", .special = true}, {.id = 2, .content = "tool"}});
  EXPECT_EQ(parts_of(finder, "<s>tool", Special::kAsText), "[<s>]<2:tool>");
}

TEST(AddedTokens, NothingToFind) {
  EXPECT_EQ(parts_of(AddedTokenFinder({}), "text"), "[text]");
}

TEST(AddedTokens, AgreesWithTheDefinition) {
  EXPECT_TRUE(rc::check([] {
    const auto letters = rc::gen::container<std::string>(rc::gen::element('a', 'b', '\xCF'));
    const auto contents = *rc::gen::resize(
        4, rc::gen::container<std::vector<std::string>>(rc::gen::nonEmpty(letters)));
    const auto text = *rc::gen::container<std::string>(rc::gen::element('a', 'b', '\xCF', 'c'));
    std::vector<AddedToken> tokens;
    for (size_t i = 0; i < contents.size(); ++i)
      tokens.push_back({.id = static_cast<int64_t>(contents[i].size()), .content = contents[i]});
    std::string expected;
    std::string plain;
    const auto flush = [&] {
      expected += plain.empty() ? "" : "[" + plain + "]";
      plain.clear();
    };
    for (size_t at = 0; at < text.size();) {
      std::string longest;
      for (const std::string& content : contents) {
        if (text.compare(at, content.size(), content) == 0 && content.size() > longest.size())
          longest = content;
      }
      if (longest.empty()) {
        plain += text[at++];
        continue;
      }
      flush();
      expected += "<" + std::to_string(longest.size()) + ":" + longest + ">";
      at += longest.size();
    }
    flush();
    RC_ASSERT(parts_of(AddedTokenFinder(tokens), text) == expected);
  }));
}

}  // namespace
}  // namespace mm
