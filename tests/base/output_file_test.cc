#include "base/output_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "base/error.h"

namespace mm {
namespace {

namespace fs = std::filesystem;

class OutputFileTest : public testing::Test {
 protected:
  OutputFileTest() {
    std::string pattern = (fs::temp_directory_path() / "mm-output-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~OutputFileTest() override { fs::remove_all(folder_); }

  size_t file_count() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  std::string read(const std::string& name) const {
    std::ifstream file(folder_ / name);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
  }

  fs::path folder_;
};

TEST_F(OutputFileTest, AppearsWholeAndReplaces) {
  write_text_file((folder_ / "a").string(), "old");
  {
    OutputFile file((folder_ / "a").string());
    file.write_at(2, bytes("cd"));
    file.write_at(0, bytes("ab"));
    EXPECT_EQ(read("a"), "old");
    file.finish();
  }
  EXPECT_EQ(read("a"), "abcd");
  EXPECT_EQ(file_count(), 1u);
}

TEST_F(OutputFileTest, UnfinishedLeavesNothing) {
  {
    OutputFile file((folder_ / "a").string());
    file.write_at(0, bytes("ab"));
    EXPECT_EQ(file_count(), 1u);
  }
  EXPECT_EQ(file_count(), 0u);
}

TEST_F(OutputFileTest, MissingFolder) {
  try {
    OutputFile file((folder_ / "none" / "a").string());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
  }
}

// A limit on file sizes stands for a full disk: the same call fails in the same place.
TEST_F(OutputFileTest, FullDiskIsReportedAndLeavesNothing) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{1000, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string message;
  try {
    OutputFile file((folder_ / "a").string());
    file.write_at(0, bytes(std::string(5000, 'x')));
    file.finish();
  } catch (const DiskFull& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    message = error.what();
  }
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("cannot write"), std::string::npos) << message;
  EXPECT_EQ(file_count(), 0u);
}

}  // namespace
}  // namespace mm
