#include "tensor/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace mm {
namespace {

using testing::HasSubstr;

/// A file: header length, header, data.
std::vector<std::byte> make_file(const std::string& header, size_t data_bytes) {
  std::vector<std::byte> file(8 + header.size() + data_bytes);
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<std::byte>(header.size() >> (8 * i));
  std::memcpy(file.data() + 8, header.data(), header.size());
  for (size_t i = 0; i < data_bytes; ++i) file[8 + header.size() + i] = static_cast<std::byte>(i);
  return file;
}

/// Pads a header so that the data is aligned.
std::string padded(std::string header) {
  header.append((8 - header.size() % 8) % 8, ' ');
  return header;
}

void expect_error(const std::vector<std::byte>& file, ErrorKind kind,
                  const std::vector<std::string>& parts) {
  try {
    parse_safetensors(file, "x.safetensors");
    FAIL() << "expected an error with " << parts[0];
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_THAT(error.what(), HasSubstr("x.safetensors"));
    for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

void expect_bad(const std::string& header, size_t data_bytes,
                const std::vector<std::string>& parts) {
  expect_error(make_file(padded(header), data_bytes), ErrorKind::kBadInput, parts);
}

TEST(SafetensorsTest, ReadsViewsWithoutCopies) {
  const std::vector<std::byte> file =
      make_file(padded(R"({"b": {"dtype": "BF16", "shape": [2, 3], "data_offsets": [8, 20]},
                 "__metadata__": {"format": "pt", "who": "me"},
                 "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                 "scalar": {"dtype": "I32", "shape": [], "data_offsets": [20, 24]},
                 "none": {"dtype": "F32", "shape": [0, 5], "data_offsets": [24, 24]}})"),
                24);
  const SafetensorsContents contents = parse_safetensors(file, "x.safetensors");
  ASSERT_EQ(contents.tensors.size(), 4u);
  EXPECT_EQ(contents.tensors[0].name, "a");  // in order of data
  EXPECT_EQ(contents.tensors[1].name, "b");
  EXPECT_EQ(to_string(contents.tensors[1].view), "BF16 [2, 3]");
  EXPECT_EQ(contents.tensors[1].view.data, file.data() + file.size() - 24 + 8);
  EXPECT_EQ(contents.tensors[2].view.numel(), 1);
  EXPECT_EQ(contents.tensors[3].view.numel(), 0);
  EXPECT_EQ(contents.metadata, (SafetensorsMetadata{{"format", "pt"}, {"who", "me"}}));
}

TEST(SafetensorsTest, EmptyFileOfNoTensors) {
  EXPECT_TRUE(parse_safetensors(make_file("{}", 0), "x").tensors.empty());
}

TEST(SafetensorsTest, HeaderLength) {
  expect_error({}, ErrorKind::kBadInput, {"0 bytes, expected at least the 8"});
  expect_error(std::vector<std::byte>(7), ErrorKind::kBadInput, {"7 bytes"});
  std::vector<std::byte> file = make_file("{}", 0);
  file[0] = std::byte{3};
  expect_error(file, ErrorKind::kBadInput,
               {"header length 3, but only 2 bytes follow", "truncated"});
  file[7] = std::byte{0x7f};
  expect_error(file, ErrorKind::kBadInput,
               {"header length 9151314442816847875, expected at most 100000000"});
  file = make_file("{}", 0);
  file[0] = std::byte{0};
  expect_error(file, ErrorKind::kBadInput, {"header"});
}

TEST(SafetensorsTest, HeaderText) {
  expect_bad("{\"a\xff\": 1}", 0, {"header: not valid JSON"});
  expect_bad("{\"a\": ", 0, {"header: not valid JSON"});
  expect_bad("[1, 2]", 0, {"header: expected an object, found an array"});
  expect_bad("{} {}", 0, {"header: not valid JSON"});
  expect_bad(R"({"a": 3})", 0,
             {"tensor a: expected an object with dtype, shape and data_offsets, found an integer"});
  expect_bad(R"({"__metadata__": {"a": 1}})", 0, {"__metadata__: a: expected a string"});
  expect_bad(R"({"__metadata__": 1})", 0, {"__metadata__: expected an object"});
}

TEST(SafetensorsTest, DuplicateNames) {
  expect_bad(R"({"a": {"dtype": "I8", "shape": [1], "data_offsets": [0, 1]},
                 "a": {"dtype": "I8", "shape": [1], "data_offsets": [1, 2]}})",
             2, {"tensor a is listed twice"});
}

TEST(SafetensorsTest, MissingKeys) {
  expect_bad(R"({"a": {"shape": [1], "data_offsets": [0, 1]}})", 1, {"tensor a: dtype is missing"});
  expect_bad(R"({"a": {"dtype": "I8", "data_offsets": [0, 1]}})", 1,
             {"tensor a: shape is missing"});
  expect_bad(R"({"a": {"dtype": "I8", "shape": [1]}})", 1, {"tensor a: data_offsets is missing"});
}

TEST(SafetensorsTest, Types) {
  expect_bad(R"({"a": {"dtype": "F31", "shape": [1], "data_offsets": [0, 1]}})", 1,
             {"tensor a: dtype F31, expected one of F64, F32, BF16"});
  expect_bad(R"({"a": {"dtype": 4, "shape": [1], "data_offsets": [0, 1]}})", 1,
             {"tensor a: dtype: expected a string, found an integer"});
  expect_error(make_file(R"({"a": {"dtype": "F8_E5M2", "shape": [1], "data_offsets": [0, 1]}})", 1),
               ErrorKind::kUnsupported, {"tensor a: dtype F8_E5M2"});
}

TEST(SafetensorsTest, Shapes) {
  const auto header = [](const std::string& shape) {
    return R"({"a": {"dtype": "I8", "shape": )" + shape + R"(, "data_offsets": [0, 4]}})";
  };
  expect_bad(header("[-4]"), 4, {"tensor a: shape [-4]: expected no negative size"});
  expect_bad(header("[2.0, 2]"), 4, {"tensor a: shape: expected an integer, found a number"});
  expect_bad(header("4"), 4, {"tensor a: shape: expected an array"});
  expect_bad(header("[4294967296, 4294967296]"), 4, {"tensor a: I8", "more bytes than any file"});
  expect_bad(header("[18446744073709551615]"), 4, {"tensor a: shape"});
  expect_bad(header("[3]"), 4, {"tensor a: I8 [3] needs 3 bytes, found 4 in data_offsets [0, 4]"});
  expect_error(make_file(header("[1, 1, 1, 1, 2, 2]"), 4), ErrorKind::kUnsupported,
               {"tensor a: shape has 6 axes, expected at most 5"});
}

TEST(SafetensorsTest, EmptyTensorsWithHugeAxes) {
  const std::vector<std::byte> file = make_file(
      R"({"a": {"dtype": "F64", "shape": [0, 4611686018427387904, 4], "data_offsets": [0, 0]}})",
      0);
  const SafetensorsContents contents = parse_safetensors(file, "x");
  EXPECT_EQ(contents.tensors[0].view.numel(), 0);
  EXPECT_TRUE(contents.tensors[0].view.is_contiguous());
}

TEST(SafetensorsTest, EmptyTensorsAreContiguous) {
  const std::vector<std::byte> file =
      make_file(R"({"a": {"dtype": "U8", "shape": [0, 0], "data_offsets": [0, 0]}})", 0);
  EXPECT_TRUE(parse_safetensors(file, "x").tensors[0].view.is_contiguous());
}

TEST(SafetensorsTest, Offsets) {
  const auto header = [](const std::string& offsets) {
    return R"({"a": {"dtype": "I8", "shape": [4], "data_offsets": )" + offsets + "}}";
  };
  expect_bad(header("[0]"), 4, {"tensor a: data_offsets: expected [begin, end], found 1 values"});
  expect_bad(header("[0, 4, 8]"), 4, {"found 3 values"});
  expect_bad(header("{}"), 4, {"tensor a: data_offsets: expected an array"});
  expect_bad(header("[0, \"4\"]"), 4, {"expected an integer, found a string"});
  expect_bad(header("[4, 0]"), 4, {"tensor a: data_offsets [4, 0]: expected 0 <= begin <= end"});
  expect_bad(header("[-4, 0]"), 4, {"[-4, 0]: expected 0 <= begin <= end"});
  expect_bad(header("[1, 5]"), 4, {"[1, 5] pass the end of the data (4 bytes)", "truncated"});
}

TEST(SafetensorsTest, Layout) {
  const auto two = [](int a0, int a1, int b0, int b1) {
    return fmt::format(
        R"({{"a": {{"dtype": "I8", "shape": [{}], "data_offsets": [{}, {}]}},
             "b": {{"dtype": "I8", "shape": [{}], "data_offsets": [{}, {}]}}}})",
        a1 - a0, a0, a1, b1 - b0, b0, b1);
  };
  expect_bad(two(0, 4, 2, 6), 6, {"tensor b [2, 6] overlaps tensor a [0, 4]"});
  expect_bad(two(0, 4, 0, 4), 4, {"tensor b [0, 4] overlaps tensor a [0, 4]"});
  expect_bad(two(0, 2, 4, 6), 6, {"bytes [2, 4] before tensor b belong to no tensor"});
  expect_bad(two(1, 2, 2, 6), 6, {"bytes [0, 1] before tensor a belong to no tensor"});
  expect_bad(two(0, 2, 2, 4), 6, {"6 bytes of data, expected 4 by the header"});
}

TEST(SafetensorsTest, MisalignedData) {
  // 8 + 67 bytes of header: an f32 cannot start there.
  const std::string header = R"({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})";
  ASSERT_NE(header.size() % 4, 0u);
  expect_error(make_file(header, 4), ErrorKind::kUnsupported,
               {"tensor a: its data starts at byte", "expected a multiple of 4 for F32"});
}

class SafetensorsFileTest : public testing::Test {
 protected:
  SafetensorsFileTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "mm-safetensors-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SafetensorsFileTest() override { std::filesystem::remove_all(folder_); }
  std::string path(const char* name) const { return (folder_ / name).string(); }

  std::filesystem::path folder_;
};

TEST_F(SafetensorsFileTest, RoundTrip) {
  Tensor floats(DType::kF32, {2, 3});
  Tensor bytes(DType::kI8, {5});
  Tensor longs(DType::kI64, {2});
  Tensor nothing(DType::kBf16, {0, 4});
  for (int i = 0; i < 6; ++i) floats.ptr<float>()[i] = static_cast<float>(i);
  for (int i = 0; i < 5; ++i) bytes.ptr<int8_t>()[i] = static_cast<int8_t>(-i);
  longs.ptr<int64_t>()[1] = 1'000'000'000'000;
  write_safetensors(path("a"),
                    {{"bytes", bytes}, {"floats", floats}, {"longs", longs}, {"nothing", nothing}},
                    {{"format", "pt"}, {"quote", "\"\n\xc3\xa9"}});
  const SafetensorsFile file(path("a"));
  EXPECT_EQ(file.metadata(), (SafetensorsMetadata{{"format", "pt"}, {"quote", "\"\n\xc3\xa9"}}));
  ASSERT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(file.get("floats").view.ptr<float>()[5], 5.0f);
  EXPECT_EQ(file.get("bytes").view.ptr<int8_t>()[4], -4);
  EXPECT_EQ(file.get("longs").view.ptr<int64_t>()[1], 1'000'000'000'000);
  EXPECT_EQ(to_string(file.get("nothing").view), "BF16 [0, 4]");
  EXPECT_EQ(file.find("other"), nullptr);
  try {
    file.get("other");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), path("a") + ": tensor other is missing");
  }
}

TEST_F(SafetensorsFileTest, WritesInPiecesAndInAnyOrder) {
  SafetensorsWriter writer(path("a"), {{"x", DType::kI32, {3}}, {"y", DType::kI64, {1}}}, {});
  const int32_t x[] = {1, 2, 3};
  const int64_t y = 7;
  writer.append("x", std::as_bytes(std::span(x).first(2)));
  writer.append("y", std::as_bytes(std::span(&y, 1)));
  EXPECT_FALSE(std::filesystem::exists(path("a")));
  EXPECT_THROW(writer.append("z", std::as_bytes(std::span(x))), Error);
  EXPECT_THROW(writer.finish(), Error);  // x is not whole
  writer.append("x", std::as_bytes(std::span(x).subspan(2)));
  EXPECT_THROW(writer.append("x", std::as_bytes(std::span(x))), Error);
  writer.finish();
  const SafetensorsFile file(path("a"));
  EXPECT_EQ(file.get("x").view.ptr<int32_t>()[2], 3);
  EXPECT_EQ(*file.get("y").view.ptr<int64_t>(), 7);
}

TEST_F(SafetensorsFileTest, AbandonedWriterLeavesNothing) {
  { SafetensorsWriter writer(path("a"), {{"x", DType::kI32, {3}}}, {}); }
  EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(SafetensorsFileTest, WriterRefusesOtherTypesAndShapes) {
  SafetensorsWriter writer(path("a"), {{"x", DType::kI32, {3}}}, {});
  EXPECT_THROW(writer.write("x", Tensor(DType::kF32, {3})), Error);
  EXPECT_THROW(writer.write("x", Tensor(DType::kI32, {4})), Error);
  EXPECT_THROW(writer.write("x", Tensor(DType::kI32, {3, 1})), Error);
}

TEST_F(SafetensorsFileTest, MissingFile) {
  try {
    SafetensorsFile file(path("none"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
  }
}

}  // namespace
}  // namespace mm
