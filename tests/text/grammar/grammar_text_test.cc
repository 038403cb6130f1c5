#include "text/grammar/grammar_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/text/grammar/matching.h"

namespace mm::grammar {
namespace {

using testing::all_bytes;
using testing::Reader;

void expect_texts(std::string_view grammar, const std::vector<std::string>& texts,
                  const std::vector<std::string>& others) {
  Reader reader(parse_grammar_text(grammar), all_bytes());
  for (const std::string& text : texts) {
    EXPECT_TRUE(reader.matches(text)) << grammar << "\n" << text;
  }
  for (const std::string& text : others) {
    EXPECT_FALSE(reader.matches(text)) << grammar << "\n" << text;
  }
}

void expect_error(std::string_view grammar, const char* message) {
  try {
    const Automaton automaton(parse_grammar_text(grammar), all_bytes());
    ADD_FAILURE() << "no error: " << grammar;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(message));
    EXPECT_THAT(error.what(), ::testing::StartsWith("grammar: "));
  }
}

TEST(GrammarText, Texts) {
  expect_texts(R"(root ::= "yes")", {"yes"}, {"", "y", "yess", "no"});
  expect_texts(R"(root ::= "")", {""}, {"a"});
  expect_texts(R"(root ::= "a" "b")", {"ab"}, {"a", "b", "a b"});
  expect_texts(R"(root ::= "\"\\\n\x41\u00e9\U0001F600")", {"\"\\\nAé😀"}, {"A"});
}

TEST(GrammarText, Choices) {
  expect_texts(R"(root ::= "a" | "b" "c" | )", {"a", "bc", ""}, {"b", "ac", "abc"});
  expect_texts(R"(root ::= ("a" | "b") "c")", {"ac", "bc"}, {"a", "c"});
}

TEST(GrammarText, Classes) {
  expect_texts("root ::= [a-cx_-]", {"a", "b", "c", "x", "_", "-"}, {"d", "", "ab"});
  expect_texts("root ::= [^a-c\\]]", {"d", "é", "😀", "^", "\n"}, {"a", "]", ""});
  expect_texts("root ::= [à-é]", {"à", "é", "ã"}, {"a", "ê", "\xC3"});
  expect_texts("root ::= .", {"a", "世", "\n"}, {"ab", "", "\xFF"});
  expect_texts("root ::= [\\n\\t\\x20-\\x22]", {"\n", "\t", " ", "!", "\""}, {"#"});
}

TEST(GrammarText, Counts) {
  expect_texts(R"(root ::= "a"*)", {"", "a", "aaaa"}, {"b", "ab"});
  expect_texts(R"(root ::= "ab"+)", {"ab", "abab"}, {"", "a", "aba", "abb"});
  expect_texts(R"(root ::= "a"? "b")", {"ab", "b"}, {"aab", "a"});
  expect_texts(R"(root ::= "a"{3})", {"aaa"}, {"aa", "aaaa"});
  expect_texts(R"(root ::= "a"{2,})", {"aa", "aaaaa"}, {"a", ""});
  expect_texts(R"(root ::= "a"{1, 3})", {"a", "aa", "aaa"}, {"", "aaaa"});
  expect_texts(R"(root ::= "a"{0})", {""}, {"a"});
  expect_texts(R"(root ::= ("a"? "b"?)* "c")", {"c", "abbac"}, {"ab"});
}

TEST(GrammarText, RulesCallOneAnother) {
  expect_texts(R"g(
    # balanced, and separated
    root ::= item ("," item)*   # a comment ends with its line
    item ::=
      [0-9]+
      | "(" root ")"
  )g",
               {"1", "1,23", "(1,(2)),3"}, {"", "(1", "1,", "()", "1)"});
  expect_texts(R"(root ::= open* "x" close*
open ::= "<"
close ::= ">")",
               {"x", "<x>", "<<x"}, {"<", "><"});
}

TEST(GrammarText, RulesMayDeriveNothing) {
  expect_texts(R"(
    root ::= space "a" space tail
    space ::= " "*
    tail ::= space more?
    more ::= "b" tail)",
               {"a", " a ", "a b", "abb b "}, {"", "b", "ab a"});
}

TEST(GrammarText, AmbiguityStaysSmall) {
  // 2^n readings of n openings.
  Reader reader(parse_grammar_text(R"g(
    root ::= "(" root ")" | "(" root "]" | "(" other ")" | "x"
    other ::= "(" other "]" | "(" root ")" | "x")g"),
                all_bytes());
  const std::string opened(2000, '(');
  EXPECT_TRUE(reader.begins(opened + "x"));
  EXPECT_TRUE(reader.matches(opened + "x" + std::string(2000, ')')));
  EXPECT_FALSE(reader.begins(opened + "x" + std::string(2001, ')')));
}

TEST(GrammarText, WhatNeverEndsIsLeftOut) {
  Reader reader(parse_grammar_text(R"(root ::= "a" | "b" loop
    loop ::= "c" loop)"),
                all_bytes());
  EXPECT_TRUE(reader.matches("a"));
  EXPECT_FALSE(reader.begins("b"));
  expect_error(R"(root ::= "c" root)", R"(rule "root" derives no text that ever ends)");
}

TEST(GrammarText, ErrorsSayWhere) {
  expect_error("", "there is no rule named \"root\"");
  expect_error("root = \"a\"", "line 1: \"=\" behind \"root\", expected \"::=\"");
  expect_error("root ::= \"a\"\n\nroot ::= \"b\"", "line 3: rule \"root\" is defined twice");
  expect_error("root ::= a\n  b", "line 1: there is no rule named \"a\"");
  expect_error("root ::= \"a\nb\"", "line 1: a text is not closed");
  expect_error("root ::= [a", "a character class is not closed");
  expect_error("root ::= [a-", "a character class is not closed");
  expect_error("root ::= [z-a]", "ends before it begins (U+007A to U+0061)");
  expect_error("root ::= (\"a\"", "the end where \")\" was expected");
  expect_error("root ::= \"a\")", "unexpected \")\"");
  expect_error("root ::= \"a\"{2,1}", "repetition {2,1} ends before it begins");
  expect_error("root ::= \"a\"{x}", "\"x\" where a repetition count was expected");
  expect_error("root ::= \"a\"{999999999999}", "a repetition count is over");
  expect_error("root ::= *", "unexpected \"*\"");
  expect_error("root ::= \"\\q\"", "before \"q\"");
  expect_error("root ::= \"\\ud800\"", "U+D800 is no character");
  expect_error("root ::= \"\\x4\"", "where one of 2 hexadecimal digits was expected");
  expect_error("root ::= \"\xFF\"", "grammar");
  expect_error("root ::= \"a\"*****************", "repetition signs");
  expect_error("root ::= " + std::string(300, '('), "nested more than 256 deep");
}

TEST(GrammarText, LeftRecursionIsRefusedByName) {
  expect_error(R"(root ::= list
    list ::= list "," "a" | "a")",
               R"(rule "list" begins with itself)");
  expect_error(R"(root ::= space root "a" | "b"
    space ::= " "*)",
               R"(rule "root" begins with itself)");
}

TEST(GrammarText, SizeIsLimited) {
  expect_error("root ::= ((\"abcdefgh\"{1000}){1000}){1000}", "states");
  expect_error("root ::= ((\"\"{100000}){100000}){100000}", "states");
  expect_error("root ::= \"a\"{100000}", "use smaller repetition counts");
  expect_error("root ::= (.{0,300} \"a\"){0,300}", "use smaller");
}

}  // namespace
}  // namespace mm::grammar
