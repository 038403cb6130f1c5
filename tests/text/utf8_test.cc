#include "text/utf8.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/error.h"

namespace mm {
namespace {

using namespace std::string_literals;

TEST(Utf8, FindsTheFirstInvalidByte) {
  EXPECT_EQ(utf8::find_invalid(""), std::string_view::npos);
  EXPECT_EQ(utf8::find_invalid("plain text, longer than a word"), std::string_view::npos);
  EXPECT_EQ(utf8::find_invalid("\xC3\xA9\xE6\x97\xA5\xF0\x9F\x99\x82"), std::string_view::npos);
  EXPECT_EQ(utf8::find_invalid("12345678\x80"), 8u);
  EXPECT_EQ(utf8::find_invalid("a\xC0\xAF"), 1u);         // overlong
  EXPECT_EQ(utf8::find_invalid("ab\xED\xA0\x80"), 2u);    // surrogate
  EXPECT_EQ(utf8::find_invalid("\xF4\x90\x80\x80"), 0u);  // over U+10FFFF
  EXPECT_EQ(utf8::find_invalid("\xF4\x8F\xBF\xBF"), std::string_view::npos);
  EXPECT_EQ(utf8::find_invalid("abc\xE6\x97"), 3u);  // cut off
}

TEST(Utf8, NamesThePlaceOfBadInput) {
  try {
    utf8::require_valid("ab\xFF", "prompt");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_STREQ(error.what(),
                 "prompt: not valid UTF-8 at byte 2 (0xFF); convert it to UTF-8 first");
  }
}

TEST(Utf8, CutsOffOnlyWhatMayBecomeACharacter) {
  EXPECT_EQ(utf8::complete_prefix(""), 0u);
  EXPECT_EQ(utf8::complete_prefix("abc"), 3u);
  EXPECT_EQ(utf8::complete_prefix("a\xC3"), 1u);
  EXPECT_EQ(utf8::complete_prefix("a\xF0\x9F\x99"), 1u);
  EXPECT_EQ(utf8::complete_prefix("a\xF0\x9F\x99\x82"), 5u);
  EXPECT_EQ(utf8::complete_prefix("a\xE0\x80"), 3u);  // no character begins so
  EXPECT_EQ(utf8::complete_prefix("\x80\x80\x80\x80"), 4u);
  EXPECT_EQ(utf8::complete_prefix("a\xFF"), 2u);
}

TEST(Utf8, ReplacesMaximalSubparts) {
  // The example of the Unicode standard, table 3-8 and the text before it.
  EXPECT_EQ(utf8::replace_invalid("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
            "a\uFFFD\uFFFD\uFFFDb\uFFFDc\uFFFD\uFFFDd");
  EXPECT_EQ(utf8::replace_invalid("\xE0\x80"), "\uFFFD\uFFFD");
  EXPECT_EQ(utf8::replace_invalid("0123456789\xC3"), "0123456789\uFFFD");
}

TEST(Utf8, DecodesWhatItAppends) {
  for (const char32_t code_point :
       {0x0u, 0x7Fu, 0x80u, 0x7FFu, 0x800u, 0xD7FFu, 0xE000u, 0xFFFFu, 0x10000u, 0x10FFFFu}) {
    std::string text = "x";
    utf8::append(code_point, text);
    EXPECT_EQ(utf8::find_invalid(text), std::string_view::npos);
    EXPECT_EQ(utf8::decode_last(text).code_point, code_point);
    EXPECT_EQ(utf8::decode_first(std::string_view(text).substr(1)).code_point, code_point);
  }
}

TEST(Utf8, RepairedBytesAreValidAndValidBytesStay) {
  EXPECT_TRUE(rc::check([](const std::string& bytes) {
    const std::string repaired = utf8::replace_invalid(bytes);
    RC_ASSERT(utf8::find_invalid(repaired) == std::string_view::npos);
    RC_ASSERT((utf8::find_invalid(bytes) == std::string_view::npos) == (repaired == bytes));
    const size_t cut = utf8::complete_prefix(bytes);
    RC_ASSERT(cut + 3 >= bytes.size());
  }));
}

}  // namespace
}  // namespace mm
