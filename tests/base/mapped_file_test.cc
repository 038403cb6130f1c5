#include "base/mapped_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/error.h"
#include "base/output_file.h"

namespace mm {
namespace {

namespace fs = std::filesystem;

class MappedFileTest : public testing::Test {
 protected:
  MappedFileTest() {
    std::string pattern = (fs::temp_directory_path() / "mm-mapped-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~MappedFileTest() override { fs::remove_all(folder_); }

  std::string write(const std::string& text) const {
    write_text_file((folder_ / "a").string(), text);
    return (folder_ / "a").string();
  }

  fs::path folder_;
};

TEST_F(MappedFileTest, ReadsInAnyPart) {
  const MappedFile file(write(std::string(100'000, 'x')));
  file.will_read_in_order();
  file.read_ahead(1 << 20);
  file.read_in(0, 0);
  file.read_in(5000, 5001);
  file.read_in(0, 100'000);
  EXPECT_EQ(file.text(), std::string(100'000, 'x'));
  EXPECT_THROW(file.read_in(0, 100'001), Error);
}

TEST_F(MappedFileTest, AnEmptyFileHasNothingToRead) {
  const MappedFile file(write(""));
  file.will_read_in_order();
  file.read_ahead(100);
  file.read_in(0, 0);
  EXPECT_TRUE(file.bytes().empty());
}

TEST_F(MappedFileTest, AFileThatWasCutIsAnErrorAndNoSignal) {
  const std::string path = write(std::string(100'000, 'x'));
  const MappedFile file(path);
  fs::resize_file(path, 10);
  file.read_in(0, 10);
  try {
    file.read_in(50'000, 100'000);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo) << error.what();
  }
}

}  // namespace
}  // namespace mm
