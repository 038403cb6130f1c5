// Files that are cut, changed or gone: an error that says so, never a wrong number.
#include <algorithm>
#include <fstream>
#include <sstream>

#include "tests/cache/context_fixture.h"

namespace mm {
namespace {

namespace fs = std::filesystem;

class ContextDamageTest : public testing::Test {
 protected:
  ContextDamageTest() {
    context_.codec.format = StateFormat::kInt8;
    ContextWriter writer = store_.create("a", context_);
    for (const int64_t end : {128, 256, 384}) model_.append(writer, tokens_, end);
    writer.set_tail(std::span(tokens_).subspan(384));
    writer.commit();
  }

  std::string path(const std::string& file) const { return folder_.path() + "/a/" + file; }
  std::string segment(size_t index) const { return path(store_.show("a").segments[index].file); }
  static std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static void write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  ContextReader open() const { return store_.open_reader("a", context_.binding); }

  /// True if everything can be read, and then all of it must be right; false after a clear error.
  bool reads_right() const {
    try {
      const ContextReader reader = open();
      EXPECT_EQ(difference(reader, tokens_), "");
      return true;
    } catch (const Error& error) {
      EXPECT_TRUE(error.kind() == ErrorKind::kBadInput || error.kind() == ErrorKind::kUnsupported)
          << to_string(error.kind()) << ": " << error.what();
      EXPECT_NE(std::string(error.what()).find(".json"), std::string(error.what()).find(".safe"))
          << error.what();  // one of the two is named
      return false;
    }
  }

  /// Flips random bits of every file of the context, one at a time.
  void flip_bits(int per_file) {
    for (const auto& entry : fs::directory_iterator(folder_.path() + "/a")) {
      const std::string file = entry.path();
      if (entry.path().filename() == "lock")
        continue;
      const std::string good = read(file);
      for (int i = 0; i < per_file; ++i) {
        const auto random = philox(5, hash128({}).low, static_cast<uint64_t>(i));
        // The header of a segment is small and interesting: half of the flips go there.
        const size_t range = i % 2 == 0 ? good.size() : std::min<size_t>(good.size(), 1500);
        std::string bad = good;
        bad[random[0] % range] ^= static_cast<char>(1 << random[1] % 8);
        write(file, bad);
        EXPECT_FALSE(reads_right()) << file << " byte " << random[0] % range;
        EXPECT_FALSE(store_.verify("a").ok());
      }
      write(file, good);
    }
    EXPECT_TRUE(reads_right());
  }

  const Tokens tokens_ = random_tokens(390, 1);
  NewContext context_ = small_context(DType::kI8);
  FakeModel model_{context_.binding};
  TemporaryFolder folder_;
  ContextStore store_{folder_.path()};
};

TEST_F(ContextDamageTest, AFlippedBitNeverGivesAWrongNumber) {
  flip_bits(200);
}

TEST_F(ContextDamageTest, SlowManyFlippedBitsNeverGiveAWrongNumber) {
  flip_bits(5000);
}

TEST_F(ContextDamageTest, CutFilesAreFound) {
  for (const auto& entry : fs::directory_iterator(folder_.path() + "/a")) {
    const std::string file = entry.path();
    if (entry.path().filename() == "lock")
      continue;
    const std::string good = read(file);
    for (const size_t size : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{100},
                              good.size() / 2, good.size() - 1}) {
      write(file, good.substr(0, size));
      EXPECT_FALSE(reads_right()) << file << " " << size;
      EXPECT_FALSE(store_.verify("a").ok());
    }
    write(file, good + "x");
    EXPECT_FALSE(reads_right()) << file;
    write(file, good);
  }
}

TEST_F(ContextDamageTest, AFileCutAfterOpeningIsAnErrorAndNoSignal) {
  const ContextReader reader = open();
  const std::string file = segment(2);
  fs::resize_file(file, 4096);
  expect_error(ErrorKind::kIo, "the disk failed or the file was cut", [&] { reader.page(1, 5); });
  expect_error(ErrorKind::kIo, "the disk failed or the file was cut", [&] { reader.tokens(); });
}

TEST_F(ContextDamageTest, AMissingSegmentIsNamed) {
  const std::string file = segment(1);
  fs::remove(file);
  expect_error(ErrorKind::kBadInput, file, [&] { open(); });
  expect_error(ErrorKind::kBadInput, "verify it to see", [&] { open(); });
}

TEST_F(ContextDamageTest, SegmentsOfOneSizeCannotBeSwapped) {
  const std::string a = segment(0);
  const std::string b = segment(1);
  ASSERT_EQ(fs::file_size(a), fs::file_size(b));
  fs::rename(a, a + "x");
  fs::rename(b, a);
  fs::rename(a + "x", b);
  EXPECT_FALSE(reads_right());
  EXPECT_EQ(store_.verify("a").usable_tokens, 0);
}

TEST_F(ContextDamageTest, VerifySaysWhichAndHowMuchCanBeUsed) {
  const std::string file = segment(1);
  std::string text = read(file);
  text[text.size() - 9] ^= 4;
  write(file, text);
  const ContextReport report = store_.verify("a");
  EXPECT_FALSE(report.ok());
  EXPECT_EQ(report.problem, "");
  ASSERT_EQ(report.segments.size(), 3u);
  EXPECT_EQ(report.segments[0].problem, "");
  EXPECT_NE(report.segments[1].problem.find(file + ": damaged: its checksum"), std::string::npos);
  EXPECT_EQ(report.segments[2].problem, "");
  EXPECT_EQ(report.token_count, 390);
  EXPECT_EQ(report.usable_tokens, 128);
  // The parts that are sound can be read; the ids have a checksum of their own.
  EXPECT_EQ(open().tokens(), tokens_);
  EXPECT_TRUE(same_bytes(open().page(1, 1).data, model_.page(tokens_, 1, 1).data));
  expect_error(ErrorKind::kBadInput, "damaged", [&] { open().page(1, 2); });
  expect_error(ErrorKind::kBadInput, "damaged",
               [&] { open().read_state(256, model_.states(tokens_, 0)); });
  // What is usable can be saved, what is not cannot.
  store_.fork("a", "saved", report.usable_tokens);
  EXPECT_EQ(difference(store_.open_reader("saved", context_.binding), prefix(tokens_, 128)), "");
  expect_error(ErrorKind::kBadInput, "damaged", [&] { store_.fork("a", "b", 200); });
  EXPECT_FALSE(store_.exists("b"));
  ContextWriter writer = store_.open_writer("a", context_.binding);
  writer.truncate(report.usable_tokens);
  writer.commit();
  EXPECT_TRUE(store_.verify("a").ok());
}

TEST_F(ContextDamageTest, WithoutVerificationNothingIsHashed) {
  const std::string file = segment(1);
  std::string text = read(file);
  text[text.size() - 9] ^= 4;
  write(file, text);
  const ContextReader reader = store_.open_reader("a", context_.binding, {.verify = false});
  EXPECT_EQ(reader.page(1, 2).data.bytes(), 2 * 2 * 64 * 8);
}

TEST_F(ContextDamageTest, VerifyReportsADamagedManifest) {
  write(path("manifest.json"), "{}");
  const ContextReport report = store_.verify("a");
  EXPECT_FALSE(report.ok());
  EXPECT_NE(report.problem.find("manifest.json: damaged"), std::string::npos);
  expect_error(ErrorKind::kBadInput, "damaged", [&] { store_.show("a"); });
  expect_error(ErrorKind::kBadInput, "damaged", [&] { store_.open_writer("a", context_.binding); });
  expect_error(ErrorKind::kBadInput, "exists", [&] { store_.create("a", context_); });
  expect_error(ErrorKind::kNotFound, "does not exist", [&] { store_.verify("b"); });
  store_.remove("a");
  EXPECT_FALSE(store_.exists("a"));
}

TEST_F(ContextDamageTest, AnotherVersionSaysSo) {
  std::string text = read(path("manifest.json"));
  text.erase(text.rfind(",\"checksum\""));
  const std::string version = "\"version\":1";
  text.replace(text.find(version), version.size(), "\"version\":2");
  write(path("manifest.json"), seal_manifest(text));
  for (const auto& call :
       {std::function<void()>([&] { open(); }), std::function<void()>([&] { store_.show("a"); })})
    expect_error(ErrorKind::kUnsupported, "has format version 2, this program reads version 1",
                 call);
}

}  // namespace
}  // namespace mm
