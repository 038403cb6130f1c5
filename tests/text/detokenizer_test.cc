#include "text/detokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "tests/text/tiny_tokenizer.h"

namespace mm {
namespace {

Tokenizer tiny() {
  Json json = testing::tiny_tokenizer({{"\xF0", "\x9F"}, {"\x82", "!"}});
  json["added_tokens"] = {testing::added_token(300, "<end>")};
  return Tokenizer::from_json(json.dump(), "", "test");
}

TEST(Detokenizer, WaitsForWholeCharacters) {
  const Tokenizer tokenizer = tiny();
  Detokenizer detokenizer(tokenizer);
  EXPECT_EQ(detokenizer.push('a'), "a");
  EXPECT_EQ(detokenizer.push(256), "");  // F0 9F
  EXPECT_EQ(detokenizer.push(0x99), "");
  EXPECT_EQ(detokenizer.push(257), "\U0001F642!");  // 82 21
  EXPECT_EQ(detokenizer.flush(), "");
}

TEST(Detokenizer, ReplacesWhatNeverBecomesACharacter) {
  const Tokenizer tokenizer = tiny();
  Detokenizer detokenizer(tokenizer);
  EXPECT_EQ(detokenizer.push(0x80), "\uFFFD");
  EXPECT_EQ(detokenizer.push(256), "");
  EXPECT_EQ(detokenizer.push('b'), "\uFFFDb");
  EXPECT_EQ(detokenizer.push(0xE2), "");
  EXPECT_EQ(detokenizer.flush(), "\uFFFD");
  EXPECT_EQ(detokenizer.flush(), "");
}

TEST(Detokenizer, HidesMarkersUnlessAsked) {
  const Tokenizer tokenizer = tiny();
  Detokenizer hides(tokenizer);
  EXPECT_EQ(hides.push(0xC3), "");
  EXPECT_EQ(hides.push(300), "");
  EXPECT_EQ(hides.push(0xA9), "\u00E9");
  Detokenizer shows(tokenizer, {.skip_special = false});
  EXPECT_EQ(shows.push(0xC3), "");
  EXPECT_EQ(shows.push(300), "\uFFFD<end>");
}

TEST(Detokenizer, ShowsTheMarkersThatAreKept) {
  const Tokenizer tokenizer = tiny();
  const DecodeOptions options = {.skip_special = true, .keep = {300}};
  Detokenizer detokenizer(tokenizer, options);
  EXPECT_EQ(detokenizer.push('a'), "a");
  EXPECT_EQ(detokenizer.push(300), "<end>");
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{'a', 300}, options), "a<end>");
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{'a', 300}, {.keep = {301}}), "a");
}

TEST(Detokenizer, IdsBeyondTheTokenizerHaveNoText) {
  const Tokenizer tokenizer = tiny();
  Detokenizer detokenizer(tokenizer);
  EXPECT_EQ(detokenizer.push(280), "");
  EXPECT_EQ(detokenizer.push(100000), "");
  EXPECT_EQ(detokenizer.push(-1), "");
}

TEST(Detokenizer, PiecesJoinToTheWholeAndAreValid) {
  const Tokenizer tokenizer = tiny();
  EXPECT_TRUE(rc::check([&] {
    const auto ids = *rc::gen::container<std::vector<int32_t>>(
        rc::gen::oneOf(rc::gen::inRange(0, 258), rc::gen::inRange(0xE0, 0x100),
                       rc::gen::inRange(0x80, 0xC0), rc::gen::just(300)));
    for (const bool skip_special : {false, true}) {
      Detokenizer detokenizer(tokenizer, {.skip_special = skip_special});
      std::string joined;
      for (const int32_t id : ids) {
        const std::string piece = detokenizer.push(id);
        RC_ASSERT(utf8::find_invalid(piece) == std::string_view::npos);
        joined += piece;
      }
      joined += detokenizer.flush();
      RC_ASSERT(joined == tokenizer.decode(ids, {.skip_special = skip_special}));
    }
  }));
}

}  // namespace
}  // namespace mm
