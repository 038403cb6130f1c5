#include "text/tokenizer.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "base/error.h"
#include "tests/text/tiny_tokenizer.h"
#include "text/detokenizer.h"

namespace mm {
namespace {

using testing::added_token;
using testing::tiny_tokenizer;
using Ids = std::vector<int32_t>;

const testing::Merges kMerges = {{"t", "h"}, {"th", "e"}, {" ", "the"}, {"a", "n"}};

Tokenizer make(const Json& json, std::string_view config = "") {
  return Tokenizer::from_json(json.dump(), config, "test");
}

/// Random code points, half of them from ranges where categories and lengths change.
rc::Gen<std::string> any_text() {
  const auto code_point = rc::gen::oneOf(
      rc::gen::inRange<uint32_t>(0, 0x80), rc::gen::inRange<uint32_t>(0x80, 0x800),
      rc::gen::inRange<uint32_t>(0x800, 0xD800), rc::gen::inRange<uint32_t>(0xE000, 0x110000));
  return rc::gen::map(rc::gen::container<std::vector<uint32_t>>(code_point),
                      [](const std::vector<uint32_t>& code_points) {
                        std::string text;
                        for (const uint32_t c : code_points) utf8::append(c, text);
                        return text;
                      });
}

TEST(Tokenizer, AppliesMergesInOrder) {
  const Tokenizer tokenizer = make(tiny_tokenizer(kMerges));
  EXPECT_EQ(tokenizer.encode(""), Ids{});
  EXPECT_EQ(tokenizer.encode("the"), (Ids{257}));
  EXPECT_EQ(tokenizer.encode(" the than"), (Ids{258, ' ', 256, 259}));
  EXPECT_EQ(tokenizer.encode("\xC3\xA9"), (Ids{0xC3, 0xA9}));
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{258, ' ', 256, 259}), " the than");
}

TEST(Tokenizer, RefusesInvalidUtf8WithItsPlace) {
  const Tokenizer tokenizer = make(tiny_tokenizer(kMerges));
  try {
    tokenizer.encode("ab\xC3(");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_STREQ(error.what(), "text: not valid UTF-8 at byte 2 (0xC3); convert it to UTF-8 first");
  }
}

TEST(Tokenizer, SpecialTokensAreParsedOrText) {
  Json json = tiny_tokenizer(kMerges);
  json["added_tokens"] = {added_token(300, "<end>"), added_token(301, "tool")};
  json["added_tokens"][1]["special"] = false;
  const Tokenizer tokenizer = make(json);
  EXPECT_EQ(tokenizer.encode("a<end>tool"), (Ids{'a', 300, 301}));
  EXPECT_EQ(tokenizer.encode("a<end>tool", {.parse_special = false}),
            (Ids{'a', '<', 'e', 'n', 'd', '>', 301}));
  EXPECT_TRUE(tokenizer.is_special(300));
  EXPECT_FALSE(tokenizer.is_special(301));
  EXPECT_FALSE(tokenizer.is_special(-1));
  EXPECT_FALSE(tokenizer.is_special(1 << 30));
  const Ids ids = {'a', 300, 301};
  EXPECT_EQ(tokenizer.decode(ids), "atool");
  EXPECT_EQ(tokenizer.decode(ids, {.skip_special = false}), "a<end>tool");
}

TEST(Tokenizer, NamesPiecesAndGaps) {
  Json json = tiny_tokenizer(kMerges);
  json["added_tokens"] = {added_token(300, "<end>")};
  const Tokenizer tokenizer = make(json);
  EXPECT_EQ(tokenizer.vocab_size(), 301);
  EXPECT_EQ(tokenizer.piece(258), " the");
  EXPECT_EQ(tokenizer.piece(0x80), "\x80");
  EXPECT_EQ(tokenizer.piece(280), "");
  EXPECT_FALSE(tokenizer.contains(280));
  EXPECT_FALSE(tokenizer.contains(-1));
  EXPECT_EQ(tokenizer.find("<end>"), 300);
  EXPECT_EQ(tokenizer.find("\u0120the"), 258);
  EXPECT_EQ(tokenizer.find(" the"), std::nullopt);
  EXPECT_THROW(tokenizer.decode(std::vector<int32_t>{280}), Error);
  EXPECT_THROW(tokenizer.decode(std::vector<int32_t>{-1}), Error);
}

TEST(Tokenizer, TakesRolesFromTheConfig) {
  Json json = tiny_tokenizer(kMerges);
  json["added_tokens"] = {added_token(300, "<end>")};
  const Tokenizer tokenizer =
      make(json, R"({"bos_token": {"content": "the"}, "eos_token": "<end>", "unk_token": null,
                "pad_token": "<nowhere>"})");
  EXPECT_EQ(tokenizer.bos_id(), 257);
  EXPECT_EQ(tokenizer.eos_id(), 300);
  EXPECT_EQ(tokenizer.unk_id(), std::nullopt);
  EXPECT_EQ(tokenizer.pad_id(), std::nullopt);
  // A vocabulary token with a role is a marker wherever it stands.
  EXPECT_TRUE(tokenizer.is_special(257));
  EXPECT_EQ(tokenizer.encode("xthey"), (Ids{'x', 257, 'y'}));
}

TEST(Tokenizer, IgnoreMergesTakesWholeWords) {
  Json json = tiny_tokenizer(kMerges);
  json["model"]["vocab"][testing::token_name(" word")] = 260;
  EXPECT_EQ(make(json).encode(" word"), (Ids{' ', 'w', 'o', 'r', 'd'}));
  json["model"]["ignore_merges"] = true;
  EXPECT_EQ(make(json).encode(" word words"), (Ids{260, ' ', 'w', 'o', 'r', 'd', 's'}));
}

TEST(Tokenizer, UnreachableNamesAreDecodedAsTheyStand) {
  Json json = tiny_tokenizer(kMerges);
  json["model"]["vocab"]["two words\u65E5"] = 260;
  const Tokenizer tokenizer = make(json);
  EXPECT_EQ(tokenizer.piece(260), "two words\u65E5");
  EXPECT_EQ(tokenizer.find("two words\u65E5"), 260);
}

TEST(Tokenizer, DecodingReplacesWhatIsNotText) {
  const Tokenizer tokenizer = make(tiny_tokenizer(kMerges));
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{'a', 0xC3, 'b', 0xFF}), "a\uFFFDb\uFFFD");
}

TEST(Tokenizer, RoundTripsAnyText) {
  const Tokenizer tiny = make(tiny_tokenizer(kMerges));
  const Tokenizer mini = Tokenizer::load(std::string(MM_SOURCE_DIR) + "/models/mini");
  EXPECT_TRUE(rc::check([&] {
    const std::string text = *any_text();
    for (const Tokenizer* tokenizer : {&tiny, &mini}) {
      for (const bool parse_special : {false, true}) {
        const Ids ids = tokenizer->encode(text, {.parse_special = parse_special});
        RC_ASSERT(tokenizer->decode(ids, {.skip_special = false}) == text);
      }
    }
  }));
}

TEST(Tokenizer, AnyBytesAreRefusedOrRoundTrip) {
  const Tokenizer mini = Tokenizer::load(std::string(MM_SOURCE_DIR) + "/models/mini");
  EXPECT_TRUE(rc::check([&](const std::string& bytes) {
    const bool valid = utf8::find_invalid(bytes) == std::string_view::npos;
    try {
      RC_ASSERT(mini.decode(mini.encode(bytes), {.skip_special = false}) == bytes);
      RC_ASSERT(valid);
    } catch (const Error&) {
      RC_ASSERT(!valid);
    }
  }));
}

/// The table of known words must not show: long texts use it, short ones do not.
TEST(Tokenizer, LongTextsGetTheIdsOfTheirLines) {
  const Tokenizer mini = Tokenizer::load(std::string(MM_SOURCE_DIR) + "/models/mini");
  EXPECT_TRUE(rc::check([&] {
    const auto words =
        *rc::gen::resize(40, rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(
                                 rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::oneOf(
                                     rc::gen::inRange('a', 'e'), rc::gen::just(' ')))))));
    std::string text;
    Ids expected;
    for (int line = 0; line < 300; ++line) {
      // Lines begin with a letter and end in a break, so that their words are their own.
      std::string part = "x" + words[static_cast<size_t>(line * 7) % words.size()] + "x\n";
      const Ids ids = mini.encode(part);
      expected.insert(expected.end(), ids.begin(), ids.end());
      text += part;
    }
    RC_ASSERT(mini.encode(text) == expected);
  }));
}

}  // namespace
}  // namespace mm
