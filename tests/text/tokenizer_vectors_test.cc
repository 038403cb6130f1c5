/// Ids of other tokenizers' answers. The variants were made with Hugging Face's tokenizers (Rust):
/// each changes parts of the bundled tokenizer.json.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "base/json_value.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"

namespace mm {
namespace {

namespace fs = std::filesystem;

fs::path source_dir() {
  return MM_SOURCE_DIR;
}

fs::path shared_dir() {
  const char* named = std::getenv("MINIMAX_SHARED_DIR");
  return named != nullptr ? fs::path(named) : source_dir() / ".." / "shared";
}

Json read_json(const fs::path& path) {
  std::ifstream file(path);
  return Json::parse(file);
}

/// A folder that goes away with the test.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_((fs::temp_directory_path() / "mm_tokenizer_XXXXXX").string()) {
    if (mkdtemp(path_.data()) == nullptr)
      throw std::runtime_error("no temporary folder");
  }
  ~TemporaryFolder() { fs::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  fs::path path() const { return path_; }

 private:
  std::string path_;
};

std::string stream_decode(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  Detokenizer detokenizer(tokenizer, {.skip_special = false});
  std::string text;
  for (const int32_t id : ids) text += detokenizer.push(id);
  return text + detokenizer.flush();
}

/// Checks a list of {"text", "ids"} and perhaps "decoded".
void expect_vectors(const Tokenizer& tokenizer, const Json& vectors) {
  ASSERT_FALSE(vectors.empty());
  for (const Json& vector : vectors) {
    const auto text = vector["text"].get<std::string>();
    const auto ids = vector["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    const std::string decoded = vector.value("decoded", text);
    EXPECT_EQ(tokenizer.decode(ids, {.skip_special = false}), decoded);
    EXPECT_EQ(stream_decode(tokenizer, ids), decoded);
  }
}

TEST(TokenizerVectors, Mini) {
  const Tokenizer tokenizer = Tokenizer::load((source_dir() / "models/mini").string());
  expect_vectors(tokenizer, read_json(source_dir() / "tests/golden/mini/tokenizer_vectors.json"));
  EXPECT_EQ(tokenizer.vocab_size(), 8192);
  EXPECT_EQ(tokenizer.bos_id(), 1);
  EXPECT_EQ(tokenizer.eos_id(), 2);
  EXPECT_EQ(tokenizer.unk_id(), std::nullopt);
  EXPECT_EQ(tokenizer.find("<image>"), 3);
}

TEST(TokenizerVectors, MiniFromVocabAndMerges) {
  const Json whole = read_json(source_dir() / "models/mini/tokenizer.json");
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "vocab.json") << whole["model"]["vocab"];
  std::ofstream merges(folder.path() / "merges.txt");
  merges << "#version: 0.2\n";
  for (const Json& merge : whole["model"]["merges"])
    merges << merge[0].get<std::string>() << ' ' << merge[1].get<std::string>() << '\n';
  merges.close();
  Json config = read_json(source_dir() / "models/mini/tokenizer_config.json");
  for (const Json& token : whole["added_tokens"]) {
    Json& entry = config["added_tokens_decoder"][std::to_string(token["id"].get<int>())];
    entry = token;
    entry.erase("id");
  }
  std::ofstream(folder.path() / "tokenizer_config.json") << config;
  expect_vectors(Tokenizer::load(folder.path().string()),
                 read_json(source_dir() / "tests/golden/mini/tokenizer_vectors.json"));
}

TEST(TokenizerVectors, Variants) {
  const Json base = read_json(source_dir() / "models/mini/tokenizer.json");
  const Json variants = read_json(source_dir() / "tests/golden/mini/tokenizer_variants.json");
  ASSERT_GE(variants.size(), 20u);
  for (const Json& variant : variants) {
    const auto name = variant["name"].get<std::string>();
    SCOPED_TRACE(name);
    Json changed = base;
    for (const auto& [key, value] : variant["changes"].items()) {
      if (key == "ignore_merges")
        changed["model"][key] = value;
      else
        changed[key] = value;
    }
    expect_vectors(Tokenizer::from_json(changed.dump(), "", name), variant["cases"]);
  }
}

/// The published vocabulary of 200,000, unpacked once for all tests of this program.
class RealTokenizer : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const fs::path packed = shared_dir() / "real/tokenizer.json.xz";
    if (!fs::exists(packed))
      return;
    folder_ = std::make_unique<TemporaryFolder>();
    const std::string command = "xz -dc '" + packed.string() + "' > '" +
                                (folder_->path() / "tokenizer.json").string() + "'";
    if (std::system(command.c_str()) != 0)
      folder_.reset();
  }
  static void TearDownTestSuite() { folder_.reset(); }
  void SetUp() override {
    if (folder_ == nullptr)
      GTEST_SKIP() << "needs " << (shared_dir() / "real/tokenizer.json.xz").string() << " and xz";
  }
  static Json vectors() { return read_json(shared_dir() / "real/tokenizer_vectors.json"); }

  static inline std::unique_ptr<TemporaryFolder> folder_;
};

TEST_F(RealTokenizer, FromTokenizerJson) {
  fs::copy_file(shared_dir() / "real/tokenizer_config.json",
                folder_->path() / "tokenizer_config.json", fs::copy_options::overwrite_existing);
  const Tokenizer tokenizer = Tokenizer::load(folder_->path().string());
  expect_vectors(tokenizer, vectors());
  EXPECT_EQ(tokenizer.vocab_size(), 200024);
  EXPECT_EQ(tokenizer.bos_id(), 200019);
  EXPECT_EQ(tokenizer.eos_id(), 200020);
  EXPECT_EQ(tokenizer.unk_id(), 200021);
  EXPECT_TRUE(tokenizer.is_special(200020));
}

TEST_F(RealTokenizer, FromVocabAndMerges) {
  // Read by simdjson: building 200,000 ordered members takes minutes.
  const JsonDocument whole = JsonDocument::read((folder_->path() / "tokenizer.json").string());
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "vocab.json") << whole.root().find("model")->find("vocab")->dump();
  fs::copy_file(shared_dir() / "real/merges.txt", folder.path() / "merges.txt");
  Json added = Json::object();
  for (const JsonView& token : whole.root().find("added_tokens")->elements("added_tokens"))
    added[std::string(token.find("content")->as_string("content"))] =
        token.find("id")->as_int("id");
  std::ofstream(folder.path() / "added_tokens.json") << added;
  fs::copy_file(shared_dir() / "real/tokenizer_config.json",
                folder.path() / "tokenizer_config.json");
  const Tokenizer tokenizer = Tokenizer::load(folder.path().string());
  expect_vectors(tokenizer, vectors());
  EXPECT_EQ(tokenizer.eos_id(), 200020);
}

}  // namespace
}  // namespace mm
