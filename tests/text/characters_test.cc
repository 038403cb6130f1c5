#include "text/characters.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "text/utf8.h"

namespace mm {
namespace {

TEST(Characters, Classes) {
  for (const char32_t c : {U'\t', U' ', U'\u0085', U'\u00A0', U'\u2003', U'\u3000'})
    EXPECT_TRUE(is_white_space(c)) << static_cast<uint32_t>(c);
  for (const char32_t c : {U'a', U'\u200B', U'\u180E', U'\u001C'})
    EXPECT_FALSE(is_white_space(c)) << static_cast<uint32_t>(c);
  for (const char32_t c : {U'a', U'_', U'5', U'\u00E9', U'\u0301', U'\u4E2D', U'\u2167', U'\u24B6'})
    EXPECT_TRUE(is_word_character(c)) << static_cast<uint32_t>(c);
  for (const char32_t c : {U' ', U'-', U'\u00BD', U'\U0001F642'})
    EXPECT_FALSE(is_word_character(c)) << static_cast<uint32_t>(c);
}

TEST(Characters, NormalForms) {
  EXPECT_EQ(normalize("plain", NormalForm::kNfkd), "plain");
  EXPECT_EQ(normalize("e\u0301", NormalForm::kNfc), "\u00E9");
  EXPECT_EQ(normalize("\u00E9", NormalForm::kNfd), "e\u0301");
  EXPECT_EQ(normalize("\uFB01\u00BD", NormalForm::kNfkc), "fi1\u20442");
  EXPECT_EQ(normalize("\uFB01", NormalForm::kNfc), "\uFB01");
  EXPECT_EQ(normalize("\uAC01", NormalForm::kNfd), "\u1100\u1161\u11A8");
  EXPECT_EQ(normalize("\u1100\u1161\u11A8", NormalForm::kNfc), "\uAC01");
  // Marks are put in order: the dot below (220) before the acute (230).
  EXPECT_EQ(normalize("a\u0301\u0323", NormalForm::kNfd), "a\u0323\u0301");
  EXPECT_EQ(normalize("a\u0301\u0323", NormalForm::kNfc), "\u1EA1\u0301");
}

TEST(Characters, NormalFormsAreStable) {
  EXPECT_TRUE(rc::check([] {
    const auto code_points = *rc::gen::container<std::vector<uint32_t>>(rc::gen::oneOf(
        rc::gen::inRange<uint32_t>(0x300, 0x345), rc::gen::inRange<uint32_t>(1, 0x250),
        rc::gen::inRange<uint32_t>(0xAC00, 0xAC80), rc::gen::inRange<uint32_t>(0xF900, 0xFB06)));
    std::string text;
    for (const uint32_t c : code_points) utf8::append(c, text);
    for (const NormalForm form :
         {NormalForm::kNfc, NormalForm::kNfd, NormalForm::kNfkc, NormalForm::kNfkd}) {
      const std::string once = normalize(text, form);
      RC_ASSERT(utf8::find_invalid(once) == std::string_view::npos);
      RC_ASSERT(normalize(once, form) == once);
    }
    RC_ASSERT(normalize(normalize(text, NormalForm::kNfd), NormalForm::kNfc) ==
              normalize(text, NormalForm::kNfc));
  }));
}

}  // namespace
}  // namespace mm
