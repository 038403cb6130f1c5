/// What is refused, and with which words.
#include "text/tokenizer_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "base/error.h"
#include "tests/text/tiny_tokenizer.h"
#include "text/tokenizer.h"

namespace mm {
namespace {

using testing::added_token;
using ::testing::HasSubstr;
using testing::tiny_tokenizer;

Json good() {
  return tiny_tokenizer({{"t", "h"}, {"th", "e"}});
}

/// The error that loading gives, or "" and a failure when it gives none.
std::string error_of(const std::function<void()>& load, ErrorKind kind) {
  try {
    load();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "accepted";
  return {};
}

std::string error_of(const Json& json, ErrorKind kind = ErrorKind::kBadInput,
                     const std::string& config = "") {
  return error_of([&] { Tokenizer::from_json(json.dump(), config, "file"); }, kind);
}

std::string error_of_text(const std::string& text) {
  return error_of([&] { Tokenizer::from_json(text, "", "file"); }, ErrorKind::kBadInput);
}

TEST(TokenizerFiles, TruncatedOrNotJson) {
  const std::string text = good().dump();
  EXPECT_THAT(error_of_text(""), HasSubstr("file: empty"));
  EXPECT_THAT(error_of_text(text.substr(0, text.size() / 2)), HasSubstr("file: not valid JSON"));
  EXPECT_THAT(error_of_text("[]"), HasSubstr("file: expected an object, found an array"));
  EXPECT_THAT(error_of_text("{}"), HasSubstr("file: key \"model\" is missing"));
}

TEST(TokenizerFiles, EveryPrefixOfAFileIsRefused) {
  const std::string text = good().dump();
  for (size_t size = 0; size < text.size(); size += 97)
    EXPECT_THAT(error_of_text(text.substr(0, size)), HasSubstr("file: "));
}

TEST(TokenizerFiles, WrongTypesInTheModel) {
  Json json = good();
  json["model"]["vocab"] = 3;
  EXPECT_THAT(error_of(json), HasSubstr("file: model vocab: expected an object, found an integer"));
  json = good();
  json["model"].erase("vocab");
  EXPECT_THAT(error_of(json), HasSubstr("file: model: key \"vocab\" is missing"));
  json = good();
  json["model"]["vocab"]["x"] = "y";
  EXPECT_THAT(error_of(json), HasSubstr("id of token \"x\": expected an integer, found a string"));
  json = good();
  json["model"]["merges"] = Json::object();
  EXPECT_THAT(error_of(json), HasSubstr("model merges: expected an array, found an object"));
  json = good();
  json["model"]["merges"][1] = 7;
  EXPECT_THAT(error_of(json), HasSubstr("merge 1: expected a string or an array of two"));
  json["model"]["merges"][1] = Json::array({"a", "b", "c"});
  EXPECT_THAT(error_of(json),
              HasSubstr("merge 1 is [\"a\",\"b\",\"c\"], expected an array of two"));
}

TEST(TokenizerFiles, MergesOfPairsAndOfStringsAreTheSame) {
  Json json = good();
  json["model"]["merges"] = Json::array({Json::array({"t", "h"}), Json::array({"th", "e"})});
  EXPECT_EQ(Tokenizer::from_json(json.dump(), "", "file").encode("the"),
            Tokenizer::from_json(good().dump(), "", "file").encode("the"));
}

TEST(TokenizerFiles, MergesThatDoNotFit) {
  Json json = good();
  for (const std::string merge : {"th", "a  b", " ab", "ab ", "a b c", ""}) {
    json["model"]["merges"][0] = merge;
    EXPECT_THAT(error_of(json), HasSubstr("merge 0 is \"" + merge + "\", expected two tokens"));
  }
  json["model"]["merges"][0] = "qq x";
  EXPECT_THAT(error_of(json), HasSubstr("names token \"qq\", which is not in the vocabulary"));
  json["model"]["merges"][0] = "x y";
  EXPECT_THAT(error_of(json),
              HasSubstr("merge 0 (\"x\" and \"y\") names token \"xy\", which is not in the"));
}

TEST(TokenizerFiles, IdsOutOfRangeOrTwice) {
  Json json = good();
  json["model"]["vocab"]["xx"] = -1;
  EXPECT_THAT(error_of(json), HasSubstr("token \"xx\" has id -1, expected 0 to 4194303"));
  json["model"]["vocab"]["xx"] = 4194304;
  EXPECT_THAT(error_of(json), HasSubstr("token \"xx\" has id 4194304"));
  json["model"]["vocab"]["xx"] = 65;
  EXPECT_THAT(error_of(json), HasSubstr("id 65 is given to both \"A\" and \"xx\""));
  std::string text = good().dump();
  text.insert(text.find("\"vocab\":{") + 9, "\"A\":900,");
  EXPECT_THAT(error_of_text(text), HasSubstr("token \"A\" is listed twice, with ids 900 and 65"));
}

TEST(TokenizerFiles, MissingByte) {
  Json json = good();
  json["model"]["vocab"].erase(testing::byte_name(0x0A));
  EXPECT_THAT(error_of(json), HasSubstr("the vocabulary has no token for byte 0x0A"));
}

TEST(TokenizerFiles, UnsupportedModels) {
  const auto with = [](const char* key, const Json& value) {
    Json json = good();
    json["model"][key] = value;
    return error_of(json, ErrorKind::kUnsupported);
  };
  EXPECT_THAT(with("type", "Unigram"), HasSubstr("model type is \"Unigram\"; only BPE"));
  EXPECT_THAT(with("dropout", 0.1), HasSubstr("model dropout is 0.1"));
  EXPECT_THAT(with("end_of_word_suffix", "</w>"), HasSubstr("end_of_word_suffix is \"</w>\""));
  EXPECT_THAT(with("continuing_subword_prefix", "##"), HasSubstr("continuing_subword_prefix"));
}

TEST(TokenizerFiles, UnsupportedParts) {
  const auto with = [](const char* part, const Json& value) {
    Json json = good();
    json[part] = value;
    return error_of(json, ErrorKind::kUnsupported);
  };
  EXPECT_THAT(with("normalizer", {{"type", "Lowercase"}}),
              HasSubstr("normalizer type \"Lowercase\" is not supported"));
  EXPECT_THAT(with("decoder", {{"type", "Metaspace"}}), HasSubstr("decoder type is \"Metaspace\""));
  EXPECT_THAT(with("pre_tokenizer", nullptr), HasSubstr("has no ByteLevel"));
  EXPECT_THAT(with("pre_tokenizer", {{"type", "Whitespace"}}),
              HasSubstr("pre_tokenizer type \"Whitespace\" is not supported"));
  const Json byte_level = good()["pre_tokenizer"];
  EXPECT_THAT(
      with("pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", {byte_level, byte_level}}}),
      HasSubstr("pre_tokenizer ByteLevel follows ByteLevel, which must be last"));
}

Json with_split(const Json& pattern, const std::string& behavior) {
  Json json = good();
  json["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", pattern}, {"behavior", behavior}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  return json;
}

TEST(TokenizerFiles, BadPatterns) {
  EXPECT_THAT(error_of(with_split({{"Regex", "a("}}, "Isolated")),
              HasSubstr("pre_tokenizer: pattern does not compile: missing closing parenthesis"));
  EXPECT_THAT(error_of(with_split("a", "Isolated")),
              HasSubstr("expected an object with Regex or String, found a string"));
  EXPECT_THAT(error_of(with_split({{"Regex", "a"}}, "Exploded"), ErrorKind::kUnsupported),
              HasSubstr("behavior \"Exploded\" is unknown"));
  EXPECT_THAT(error_of(with_split({{"Regex", "[a[bc]]"}}, "Isolated"), ErrorKind::kUnsupported),
              HasSubstr("nested character class at byte 2"));
  EXPECT_THAT(error_of(with_split({{"Regex", "[a-z&&b]"}}, "Isolated"), ErrorKind::kUnsupported),
              HasSubstr("class intersection (&&) at byte 4"));
}

TEST(TokenizerFiles, BadAddedTokens) {
  const auto with = [](const Json& tokens) {
    Json json = good();
    json["added_tokens"] = tokens;
    return error_of(json);
  };
  EXPECT_THAT(with(3), HasSubstr("file: added_tokens: expected an array, found an integer"));
  EXPECT_THAT(with(Json::array({{{"id", 300}}})),
              HasSubstr("added_tokens: key \"content\" is missing"));
  EXPECT_THAT(with(Json::array({{{"content", "x"}}})),
              HasSubstr("added_tokens: key \"id\" is missing"));
  EXPECT_THAT(with(Json::array({added_token(300, "")})),
              HasSubstr("added token with id 300 is empty"));
  EXPECT_THAT(with({added_token(300, "<a>"), added_token(301, "<a>")}),
              HasSubstr("added token \"<a>\" is listed twice"));
  EXPECT_THAT(with({added_token(300, "<a>"), added_token(300, "<b>")}),
              HasSubstr("id 300 is given to both \"<a>\" and \"<b>\""));
  EXPECT_THAT(with(Json::array({added_token(300, "the")})),
              HasSubstr("added token \"the\" has id 300, but 257 in the vocabulary"));
  EXPECT_THAT(with(Json::array({added_token(-5, "<a>")})), HasSubstr("token \"<a>\" has id -5"));
  Json flag = added_token(300, "<a>");
  flag["lstrip"] = 1;
  EXPECT_THAT(with(Json::array({flag})), HasSubstr("lstrip: expected a boolean, found an integer"));
}

TEST(TokenizerFiles, BadRoles) {
  EXPECT_THAT(error_of(good(), ErrorKind::kBadInput, R"({"bos_token": 3})"),
              HasSubstr("tokenizer_config.json: bos_token: expected a string, found an integer"));
  EXPECT_THAT(error_of(good(), ErrorKind::kBadInput, R"({"eos_token": {}})"),
              HasSubstr("eos_token: key \"content\" is missing"));
}

/// A folder with the given files, loaded.
class FolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "mm_files_XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const char* name, const std::string& text) { std::ofstream(folder_ / name) << text; }
  std::string load_error(ErrorKind kind) {
    return error_of([&] { Tokenizer::load(folder_.string()); }, kind);
  }
  void write_vocab_and_merges() {
    write("vocab.json", good()["model"]["vocab"].dump());
    write("merges.txt", "#version: 0.2\nt h\r\nth e\n");
  }
  std::filesystem::path folder_;
};

TEST_F(FolderTest, NothingThere) {
  EXPECT_THAT(load_error(ErrorKind::kNotFound), HasSubstr("no tokenizer here; expected"));
  write("vocab.json", "{}");
  EXPECT_THAT(load_error(ErrorKind::kNotFound), HasSubstr("vocab.json with merges.txt"));
}

TEST_F(FolderTest, VocabAndMergesWithoutConfig) {
  write_vocab_and_merges();
  const Tokenizer tokenizer = Tokenizer::load(folder_.string());
  EXPECT_EQ(tokenizer.encode("the"), (std::vector<int32_t>{257}));
  EXPECT_EQ(tokenizer.bos_id(), std::nullopt);
}

TEST_F(FolderTest, AddedTokensFromBothFiles) {
  write_vocab_and_merges();
  write("tokenizer_config.json",
        R"({"added_tokens_decoder": {"300": {"content": "<a>", "special": true}}})");
  write("added_tokens.json", R"({"<a>": 300, "<b>": 301})");
  EXPECT_EQ(Tokenizer::load(folder_.string()).encode("<a><b>"), (std::vector<int32_t>{300, 301}));
  write("added_tokens.json", R"({"<a>": 302})");
  EXPECT_THAT(load_error(ErrorKind::kBadInput),
              HasSubstr("added token \"<a>\" has id 302, but 300 in another file"));
  write("tokenizer_config.json", R"({"added_tokens_decoder": {"3x": {"content": "<a>"}}})");
  EXPECT_THAT(load_error(ErrorKind::kBadInput), HasSubstr("key \"3x\" is not a token id"));
}

TEST_F(FolderTest, BadMergesText) {
  write_vocab_and_merges();
  write("merges.txt", "t h\nnospace\n");
  EXPECT_THAT(load_error(ErrorKind::kBadInput), HasSubstr("merges.txt: merge 1 is \"nospace\""));
  write("merges.txt", "t h\n\xFF\n");
  EXPECT_THAT(load_error(ErrorKind::kBadInput), HasSubstr("merges.txt: not valid UTF-8 at byte 4"));
  write("merges.txt", "");
  EXPECT_EQ(Tokenizer::load(folder_.string()).encode("th").size(), 2u);
}

}  // namespace
}  // namespace mm
