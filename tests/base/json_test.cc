#include "base/json.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mm {
namespace {

TEST(JsonTest, ReadsEveryKind) {
  const JsonDocument document =
      JsonDocument::parse(R"({"a": [1, 2.5, "x", true, null], "a": 2, "b": {}})", "test");
  const auto members = document.root().members("root");
  ASSERT_EQ(members.size(), 3u);  // the duplicate key stays visible
  const auto items = document.root().find("a")->elements("a");
  EXPECT_EQ(items[0].as_int("a[0]"), 1);
  EXPECT_EQ(items[0].as_double("a[0]"), 1.0);
  EXPECT_EQ(items[1].as_double("a[1]"), 2.5);
  EXPECT_EQ(items[2].as_string("a[2]"), "x");
  EXPECT_TRUE(items[3].as_bool("a[3]"));
  EXPECT_TRUE(items[4].is_null());
  EXPECT_FALSE(document.root().find("c").has_value());
}

TEST(JsonTest, ErrorsNameThePlace) {
  const JsonDocument document = JsonDocument::parse(R"({"n": "7"})", "test");
  try {
    document.root().find("n")->as_int("config.json: n");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_STREQ(error.what(), "config.json: n: expected an integer, found a string");
  }
}

TEST(JsonTest, RefusesBadText) {
  EXPECT_THROW(JsonDocument::parse("", "test"), Error);
  EXPECT_THROW(JsonDocument::parse("{", "test"), Error);
  EXPECT_THROW(JsonDocument::parse("{} x", "test"), Error);
  EXPECT_THROW(JsonDocument::parse("\"\xff\"", "test"), Error);
  EXPECT_THROW(JsonDocument::parse(std::string(10000, '['), "test"), Error);
}

TEST(JsonTest, NumbersOverInt64AreNotIntegers) {
  const JsonDocument document = JsonDocument::parse("18446744073709551615", "test");
  EXPECT_THROW(document.root().as_int("n"), Error);
  EXPECT_EQ(document.root().as_double("n"), 18446744073709551615.0);
}

}  // namespace
}  // namespace mm
